import {
  DeltaLayerBuilder,
  encodeIndexPart,
  encodeValue,
  indexObjectKey,
  KEY_MAX,
  KEY_MIN,
  keyFromHex,
  parseIndexPart,
  TimelineView,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { parseCommitTime } from '@neon-snapshot/neon-timeline';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import { createFaultyStorage } from '@neon-snapshot/storage-conformance';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { listedTimelines } from '../gc/tenant-timelines.ts';
import { MemoryHost } from '../testing/memory-host.ts';
import type { MemoryTarget } from '../testing/memory-target.ts';
import {
  HAS_SAMPLES,
  listedValues,
  phaseLsn,
  SAMPLES_NOTE,
  sampleFacts,
  sampleStorage,
  wrongValuesOf,
} from '../testing/sample-timelines.ts';
import { createBranch } from './create-branch.ts';
import { deleteBranch, finishDeletions } from './delete-branch.ts';

const SAMPLE = 'pg16';
const GENERATION = 9;
const NEW = 'd'.repeat(32);
const OTHER = 'e'.repeat(32);

async function openHost(storage: Storage, sample = SAMPLE) {
  const { tenant, timelines } = sampleFacts(sample);
  const host = new MemoryHost({ bucket: storage, tenantId: tenant, generation: GENERATION });
  const ids = { main: timelines.main ?? '', branch: timelines.branch ?? '' };
  await host.addTimeline(ids.main);
  await host.addTimeline(ids.branch);
  return { host, ...ids };
}

const atLsn = (at: Lsn) => ({ kind: 'lsn', lsn: at }) as const;
const point = (phase: string) => ({ sample: SAMPLE, timeline: 'main', phase });

async function objectKeys(storage: Storage, timelineId: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { objects } of storage.list())
    keys.push(...objects.map(({ key }) => key).filter((key) => key.includes(timelineId)));
  return keys;
}

/** One more layer on a timeline: a new value of a key. */
async function goOn(target: MemoryTarget, key: Uint8Array, image: Uint8Array): Promise<void> {
  const { tenantId, timelineId, source, storage } = target;
  const end = source.index.diskConsistentLsn;
  const at = lsn(end + 8n);
  const builder = new DeltaLayerBuilder({ tenantId, timelineId, keyStart: KEY_MIN, lsnStart: lsn(end + 1n) });
  builder.append({ key, lsn: at, value: encodeValue({ kind: 'image', image }), willInit: true });
  const stored = await target.putLayer(builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(at + 1n) }));
  const layers = new Map(source.index.layers);
  layers.set(stored.name, { fileSize: stored.sizeBytes, generation: GENERATION });
  const metadata = { ...source.index.metadata, diskConsistentLsn: at };
  const index = encodeIndexPart({ ...source.index, layers, diskConsistentLsn: at, metadata });
  const tenant = { tenantId, shard: UNSHARDED };
  await storage.put(indexObjectKey({ tenant, timelineId, generation: GENERATION }), index);
  await target.reload();
}

async function valueIn(target: MemoryTarget, key: Uint8Array): Promise<Uint8Array | undefined> {
  const view = await TimelineView.open(target.storage, target.source, { redo: target.redo });
  const value = await view.get(key);
  view.close();
  return value;
}

describe.runIf(HAS_SAMPLES)(`a branch${SAMPLES_NOTE}`, () => {
  test('begins as its parent was at an LSN, at a time, or where it ends', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main } = await openHost(storage);
    const p1 = phaseLsn(SAMPLE, 'p1');
    const made = await createBranch(host, { parentId: main, timelineId: NEW, start: atLsn(p1) });
    expect(made).toEqual({ timelineId: NEW, ancestorTimelineId: main, ancestorLsn: p1 });
    expect(await wrongValuesOf(storage, host.target(NEW).source, point('p1'))).toEqual([]);
    expect(host.pushes).toBe(0);
    const tip = await createBranch(host, { parentId: main, timelineId: OTHER, start: { kind: 'tip' } });
    expect(tip.ancestorLsn).toBe(phaseLsn(SAMPLE, 'p3'));
    expect(host.pushes).toBe(1);
    expect(await wrongValuesOf(storage, host.target(OTHER).source, point('p3'))).toEqual([]);
    const { metadata } = host.target(OTHER).source.index;
    const parent = host.target(main).source.index.metadata;
    expect(metadata.prevRecordLsn).toBe(parent.prevRecordLsn);
    expect(host.target(NEW).source.index.metadata.prevRecordLsn).toBeUndefined();
    const time = JSON.parse(JSON.stringify(sampleFacts(SAMPLE).phases[2])).time;
    const micros = parseCommitTime(time.includes('T') || time.includes('Z') ? time : `${time}Z`) ?? 0n;
    const timed = await createBranch(host, {
      parentId: main,
      timelineId: 'f'.repeat(32),
      start: { kind: 'time', time: micros },
    });
    expect(timed.ancestorLsn).toBeGreaterThan(p1);
    expect(timed.ancestorLsn).toBeLessThanOrEqual(phaseLsn(SAMPLE, 'p2'));
  });

  test('has the index that Neon gives a branch', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main, branch } = await openHost(storage);
    await createBranch(host, { parentId: main, timelineId: NEW, start: atLsn(phaseLsn(SAMPLE, 'p1')) });
    const [key] = await objectKeys(storage, NEW);
    expect(key).toMatch(/index_part\.json-00000009$/);
    const { body } = await storage.get(key ?? '');
    const index = parseIndexPart(await readAll(body, { sizeMaxBytes: 10_000 }));
    const real = host.target(branch).source.index;
    const { prevRecordLsn, ...metadata } = index.metadata;
    const { prevRecordLsn: _, ...realMetadata } = real.metadata;
    expect(prevRecordLsn).toBeUndefined();
    expect(metadata).toEqual({ ...realMetadata, diskConsistentLsn: phaseLsn(SAMPLE, 'p1') });
    expect([index.layers.size, index.relSizeMigration]).toEqual([0, real.relSizeMigration]);
  });

  test('and its parent go on without each other', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main } = await openHost(storage);
    await createBranch(host, { parentId: main, timelineId: NEW, start: { kind: 'tip' } });
    const key = keyFromHex('030000000000000000000000000000000001');
    const before = await valueIn(host.target(main), key);
    expect(before?.length).toBe(88);
    await goOn(host.target(NEW), key, Uint8Array.of(1));
    expect(await valueIn(host.target(NEW), key)).toEqual(Uint8Array.of(1));
    expect(await valueIn(host.target(main), key)).toEqual(before);
    await goOn(host.target(main), key, Uint8Array.of(2));
    await host.target(NEW).reload();
    expect(await valueIn(host.target(NEW), key)).toEqual(Uint8Array.of(1));
    expect(await valueIn(host.target(main), key)).toEqual(Uint8Array.of(2));
    expect(listedValues(point('p3')).length).toBeGreaterThan(5000);
    expect(await wrongValuesOf(storage, host.target(NEW).source, point('p3'))).toEqual([]);
  });

  test('before its parent itself was a branch is one of the ancestor', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main, branch } = await openHost(storage);
    const start = atLsn(lsn(phaseLsn(SAMPLE, 'base') + 8n));
    const made = await createBranch(host, { parentId: branch, timelineId: NEW, start });
    expect(made.ancestorTimelineId).toBe(main);
    const at = atLsn(phaseLsn(SAMPLE, 'p1'));
    const exact = await createBranch(host, { parentId: branch, timelineId: OTHER, start: at });
    expect(exact.ancestorTimelineId).toBe(branch);
    expect(await wrongValuesOf(storage, host.target(OTHER).source, point('p1'))).toEqual([]);
  });

  test('is refused where there is no history, no timeline, or its id is taken; nothing is left then', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main, branch } = await openHost(storage);
    const create = (start: Parameters<typeof createBranch>[1]['start'], parentId = main, timelineId = NEW) =>
      createBranch(host, { parentId, timelineId, start });
    const outOfRange = { code: 'PAGESERVER_LSN_OUT_OF_RANGE' };
    await expect(create(atLsn(lsn(phaseLsn(SAMPLE, 'base') - 8n)))).rejects.toMatchObject(outOfRange);
    await expect(create(atLsn(lsn(phaseLsn(SAMPLE, 'p3') + 8n)))).rejects.toMatchObject(outOfRange);
    await expect(create({ kind: 'time', time: 0n })).rejects.toMatchObject(outOfRange);
    await expect(create({ kind: 'tip' }, OTHER)).rejects.toMatchObject({ code: 'PAGESERVER_NOT_FOUND' });
    await expect(create({ kind: 'tip' }, main, branch)).rejects.toMatchObject({ code: 'PAGESERVER_EXISTS' });
    expect(await objectKeys(storage, NEW)).toEqual([]);
  });

  test('below the GC cutoff is made at a pinned LSN only', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main } = await openHost(storage);
    const [p1, p2] = [phaseLsn(SAMPLE, 'p1'), phaseLsn(SAMPLE, 'p2')];
    const { snapshots } = openRefs({ storage, tenantId: host.tenantId });
    await snapshots.create('kept', { timelineId: main, lsn: p1 });
    await host.target(main).publish({ gcCutoff: p2 });
    const refused = createBranch(host, { parentId: main, timelineId: NEW, start: atLsn(lsn(p1 + 8n)) });
    await expect(refused).rejects.toMatchObject({ code: 'PAGESERVER_LSN_OUT_OF_RANGE' });
    await createBranch(host, { parentId: main, timelineId: NEW, start: atLsn(p1) });
    expect(host.target(NEW).source.index.metadata.latestGcCutoffLsn).toBe(p1);
    expect(await wrongValuesOf(storage, host.target(NEW).source, point('p1'))).toEqual([]);
  });

  test('is taken back where garbage was collected while it was made', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main } = await openHost(storage);
    const assertHeld = host.assertHeld.bind(host);
    host.assertHeld = async () => {
      await host.target(main).publish({ gcCutoff: phaseLsn(SAMPLE, 'p2') });
      await assertHeld();
    };
    const made = createBranch(host, {
      parentId: main,
      timelineId: NEW,
      start: atLsn(phaseLsn(SAMPLE, 'p1')),
    });
    await expect(made).rejects.toMatchObject({ code: 'PAGESERVER_LSN_OUT_OF_RANGE' });
    expect(await objectKeys(storage, NEW)).toEqual([]);
  });
});

describe.runIf(HAS_SAMPLES)(`deleting a branch${SAMPLES_NOTE}`, () => {
  test('leaves nothing of it, and its parent as it was', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main, branch } = await openHost(storage);
    await storage.put(`neon-snapshot/${host.tenantId}/wal/${branch}/chunk`, new Uint8Array(3));
    expect((await objectKeys(storage, branch)).length).toBeGreaterThan(10);
    await deleteBranch(host, { timelineId: branch });
    expect(await objectKeys(storage, branch)).toEqual([]);
    expect(() => host.timeline(branch)).toThrow(expect.objectContaining({ code: 'PAGESERVER_NOT_FOUND' }));
    expect(await wrongValuesOf(storage, host.target(main).source, point('p3'))).toEqual([]);
    await expect(deleteBranch(host, { timelineId: branch })).rejects.toMatchObject({
      code: 'PAGESERVER_NOT_FOUND',
    });
  });

  test('is refused where others need it', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, main, branch } = await openHost(storage);
    const refusal = (message: RegExp) => ({
      code: 'PAGESERVER_INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
    await expect(deleteBranch(host, { timelineId: main })).rejects.toMatchObject(refusal(/made from none/));
    await createBranch(host, { parentId: branch, timelineId: NEW, start: { kind: 'tip' } });
    await expect(deleteBranch(host, { timelineId: branch })).rejects.toMatchObject(refusal(new RegExp(NEW)));
    await deleteBranch(host, { timelineId: NEW });
    const { snapshots } = openRefs({ storage, tenantId: host.tenantId });
    const at = phaseLsn(SAMPLE, 'p1');
    await snapshots.create('kept', { timelineId: branch, lsn: at });
    await expect(deleteBranch(host, { timelineId: branch })).rejects.toMatchObject(refusal(/kept/));
    expect(host.timeline(branch).timelineId).toBe(branch);
  });

  test('is refused where a branch was made from it in that moment', async () => {
    await using storage = await sampleStorage(SAMPLE);
    const { host, branch } = await openHost(storage);
    const remove = host.removeTimeline.bind(host);
    host.removeTimeline = async (timelineId) => {
      await createBranch(host, { parentId: branch, timelineId: NEW, start: { kind: 'tip' } });
      await remove(timelineId);
    };
    await expect(deleteBranch(host, { timelineId: branch })).rejects.toMatchObject({
      code: 'PAGESERVER_INVALID_ARGUMENT',
    });
    const p2 = { sample: SAMPLE, timeline: 'branch', phase: 'p2' };
    expect(await wrongValuesOf(storage, host.target(branch).source, p2)).toEqual([]);
    expect(await wrongValuesOf(storage, host.target(NEW).source, p2)).toEqual([]);
  });

  test('is finished by the next process, wherever the first one stopped', async () => {
    for (let nth = 1; ; nth += 1) {
      await using inner = await sampleStorage(SAMPLE);
      const { branch } = await openHost(inner);
      const storage = createFaultyStorage(inner, {
        plan: [{ verb: 'delete', nth, fault: { kind: 'error' } }],
      });
      const { host } = await openHost(storage);
      const isWhole = await deleteBranch(host, { timelineId: branch }).then(
        () => true,
        () => false,
      );
      if (isWhole) {
        expect(nth).toBeGreaterThan(1);
        return;
      }
      const timelines = await listedTimelines(inner, host.tenantId);
      expect(await finishDeletions(host, timelines)).toEqual([branch]);
      expect(await objectKeys(inner, branch)).toEqual([]);
    }
  });
});

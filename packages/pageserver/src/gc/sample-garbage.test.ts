import { loadTimeline } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { createImages } from '../compaction/create-images.ts';
import { StagedLayers } from '../compaction/staged-layers.ts';
import { MemoryTarget } from '../testing/memory-target.ts';
import { mergeL0 } from '../testing/merge-layers.ts';
import {
  HAS_SAMPLES,
  phaseLsn,
  SAMPLES_NOTE,
  sampleFacts,
  sampleStorage,
  wrongValues,
  wrongValuesOf,
} from '../testing/sample-timelines.ts';
import { collectGarbage } from './collect-garbage.ts';
import { deleteNotedLayers, noteUnlistedLayers } from './delete-layers.ts';
import { gcCutoff } from './gc-cutoff.ts';

const MIB = 1024 * 1024;
const L0 = { countMin: 2, countMax: 20, bytesMax: 1024 * MIB, layerBytesMax: MIB };
const DUE = { deltasMin: 1, deltasMax: 9, changedRatio: 0 };
const IMAGES = { ...DUE, partitionBytes: 1024 * MIB, imageBytesMax: 32 * MIB };
/** Long after the samples were made. */
const NOW = new Date('2036-01-01T00:00:00Z');
const HOUR_MS = 3_600_000;
const GENERATION = 9;

async function openTarget(storage: Storage, sample: string, timeline = 'main'): Promise<MemoryTarget> {
  const { tenant, timelines } = sampleFacts(sample);
  const timelineId = timelines[timeline] ?? '';
  return MemoryTarget.open({ storage, tenantId: tenant, timelineId, generation: GENERATION });
}

/** Everything in L1 layers and images at the end. */
async function compacted(storage: Storage, sample: string, timeline = 'main'): Promise<MemoryTarget> {
  const target = await openTarget(storage, sample, timeline);
  await mergeL0(target, L0);
  await createImages(target, new StagedLayers(target), IMAGES);
  return target;
}

function optionsOf(target: MemoryTarget, changes: Partial<Parameters<typeof collectGarbage>[1]> = {}) {
  const seen: { lsn: Lsn; at: Date }[] = [];
  return {
    bucket: target.storage,
    generation: GENERATION,
    now: NOW,
    pitrIntervalMs: HOUR_MS,
    horizonBytes: 0,
    seen,
    leased: () => [],
    ...changes,
  };
}

const assertHeld = async () => {};
const deleteNoted = (target: MemoryTarget, now: Date) =>
  deleteNotedLayers(target.storage, {
    tenantId: target.tenantId,
    timelineId: target.timelineId,
    now,
    graceMs: HOUR_MS,
    assertHeld,
  });

async function layerObjects(storage: Storage, { timelineId }: MemoryTarget): Promise<number> {
  let count = 0;
  for await (const { objects } of storage.list())
    count += objects.filter(({ key }) => key.includes(`${timelineId}/0`)).length;
  return count;
}

describe.runIf(HAS_SAMPLES)(`garbage of a real page server's timelines${SAMPLES_NOTE}`, () => {
  test.each(['pg16', 'pg17'])(
    'of %s goes, but for what its end and its branch points need',
    { timeout: 60_000 },
    async (sample) => {
      await using storage = await sampleStorage(sample);
      const target = await compacted(storage, sample);
      const before = await layerObjects(storage, target);
      const collected = await collectGarbage(target, optionsOf(target));
      expect(collected.cutoff).toBe(phaseLsn(sample, 'p3'));
      // Branches leave at the base and at p1: their images and deltas stay.
      const firstImages = target.source.layers.layers.filter(
        ({ desc }) => desc.lsnStart === phaseLsn(sample, 'base'),
      );
      expect(firstImages.length).toBeGreaterThan(30);
      expect(await deleteNoted(target, NOW)).toBe(0);
      expect(await deleteNoted(target, new Date(NOW.getTime() + HOUR_MS))).toBe(collected.layers);
      expect(await layerObjects(storage, target)).toBe(before - collected.layers);
      for (const [timeline, phase] of [
        ['main', 'p3'],
        ['branch', 'p2'],
      ] as const)
        expect(await wrongValues(storage, { sample, timeline, phase })).toEqual([]);
      const source = await loadTimeline(storage, { tenant: target.tenantId, timelineId: target.timelineId });
      expect(formatLsn(source.index.metadata.latestGcCutoffLsn)).toBe(formatLsn(phaseLsn(sample, 'p3')));
    },
  );

  test('goes whole where nothing pins what is older', { timeout: 60_000 }, async () => {
    await using storage = await sampleStorage('pg16');
    const { tenant, timelines } = sampleFacts('pg16');
    for await (const { objects } of storage.list()) {
      for (const { key } of objects)
        if (key.includes(timelines.branch ?? '') || key.includes(timelines.archived ?? ''))
          await storage.delete([key]);
    }
    const target = await compacted(storage, 'pg16');
    const collected = await collectGarbage(target, optionsOf(target));
    expect(collected.layers).toBeGreaterThan(60);
    expect(target.source.layers.layers.every(({ desc }) => desc.lsnEnd > phaseLsn('pg16', 'p2'))).toBe(true);
    await deleteNoted(target, new Date(NOW.getTime() + HOUR_MS));
    expect(await wrongValues(storage, { sample: 'pg16', timeline: 'main', phase: 'p3' })).toEqual([]);
    // Again: nothing is left to do.
    expect(await collectGarbage(target, optionsOf(target))).toMatchObject({
      cutoff: undefined,
      layers: 0,
      bytes: 0,
    });
    expect(tenant).toBe(target.tenantId);
  });

  test('spares what a snapshot or a lease pins', { timeout: 60_000 }, async () => {
    await using storage = await sampleStorage('pg17');
    const target = await compacted(storage, 'pg17');
    const { tenantId, timelineId } = target;
    const refs = openRefs({ storage, tenantId });
    await refs.snapshots.create('p2', { timelineId, lsn: phaseLsn('pg17', 'p2') });
    const leased = () => [{ timelineId, lsn: lsn(phaseLsn('pg17', 'p1')) }];
    await collectGarbage(target, optionsOf(target, { leased }));
    await deleteNoted(target, new Date(NOW.getTime() + HOUR_MS));
    // The index says that older LSNs are gone; the layers still give these two.
    const { index } = target.source;
    const metadata = { ...index.metadata, latestGcCutoffLsn: phaseLsn('pg17', 'base') };
    const readable = { ...target.source, index: { ...index, metadata } };
    for (const phase of ['p1', 'p2', 'p3'])
      expect(await wrongValuesOf(storage, readable, { sample: 'pg17', timeline: 'main', phase })).toEqual([]);
  });

  test('is not collected while a name cannot be read', { timeout: 60_000 }, async () => {
    await using storage = await sampleStorage('pg17');
    const target = await compacted(storage, 'pg17');
    const place = `neon-snapshot/${target.tenantId}/refs/snapshots/x.json`;
    await storage.put(place, new TextEncoder().encode('{'));
    const before = target.source.index.layers;
    await expect(collectGarbage(target, optionsOf(target))).rejects.toMatchObject({
      code: 'REPOSITORY_REF_INVALID',
    });
    expect(target.source.index.layers).toEqual(before);
  });
});

describe.runIf(HAS_SAMPLES)(`the GC cutoff${SAMPLES_NOTE}`, () => {
  const cutoffWith = async (target: MemoryTarget, changes: Partial<Parameters<typeof gcCutoff>[0]>) =>
    gcCutoff({
      storage: target.storage,
      source: target.source,
      now: NOW,
      pitrIntervalMs: HOUR_MS,
      horizonBytes: 0,
      seen: [],
      ...changes,
    });

  test('is the last commit before the interval, the end where all are, and none where none is', async () => {
    await using storage = await sampleStorage('pg16');
    const target = await openTarget(storage, 'pg16');
    expect(await cutoffWith(target, {})).toBe(phaseLsn('pg16', 'p3'));
    const { time } = JSON.parse(JSON.stringify(sampleFacts('pg16').phases[1]));
    const p1 = new Date(time);
    const cutoff = await cutoffWith(target, { now: new Date(p1.getTime() + HOUR_MS) });
    expect(cutoff).toBeGreaterThan(phaseLsn('pg16', 'base'));
    expect(cutoff).toBeLessThan(phaseLsn('pg16', 'p2'));
    expect(await cutoffWith(target, { now: new Date('2020-01-01T00:00:00Z') })).toBeUndefined();
  });

  test('leaves the horizon readable, and takes what was seen where no commit says it', async () => {
    await using storage = await sampleStorage('pg16');
    const target = await openTarget(storage, 'pg16');
    const end = phaseLsn('pg16', 'p3');
    expect(await cutoffWith(target, { horizonBytes: 800 })).toBe(end - (end % 8n) - 800n);
    expect(await cutoffWith(target, { horizonBytes: 2 ** 40 })).toBeUndefined();
    const early = new Date('2020-01-01T00:00:00Z');
    const p1 = phaseLsn('pg16', 'p1');
    const seen = [
      { lsn: p1, at: new Date(early.getTime() - HOUR_MS) },
      { lsn: end, at: new Date(early.getTime() - HOUR_MS + 1) },
    ];
    expect(await cutoffWith(target, { now: early, seen })).toBe(p1);
  });
});

describe.runIf(HAS_SAMPLES)(`deletion notes${SAMPLES_NOTE}`, () => {
  const NOTES = (target: MemoryTarget) => `neon-snapshot/${target.tenantId}/deletions/`;
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

  test('find what a writer of an earlier generation left behind, once', async () => {
    await using storage = await sampleStorage('pg17');
    const target = await openTarget(storage, 'pg17');
    const [first] = target.source.layers.layers;
    const folder = first?.objectKey.slice(0, first.objectKey.lastIndexOf('/') + 1) ?? '';
    const name = first?.name ?? '';
    for (const left of [`${name}-00000008`, `${name}-00000009`, `${name}-v1-00000003`, 'notes.txt'])
      await storage.put(`${folder}${left}`, new Uint8Array(1));
    const options = {
      tenantId: target.tenantId,
      timelineId: target.timelineId,
      generation: GENERATION,
      now: NOW,
    };
    const noted = await noteUnlistedLayers(storage, options);
    expect(await noteUnlistedLayers(storage, options)).toBe(0);
    expect(await deleteNoted(target, new Date(NOW.getTime() + HOUR_MS))).toBe(noted);
    await expect(storage.head(`${folder}${name}-00000008`)).rejects.toMatchObject({
      code: 'STORAGE_NOT_FOUND',
    });
    for (const kept of [`${name}-00000009`, `${name}-v1-00000003`, 'notes.txt'])
      expect((await storage.head(`${folder}${kept}`)).sizeBytes).toBe(1);
    for (const { objectKey } of target.source.layers.layers) await storage.head(objectKey);
  });

  test('never delete what an index lists, nor anything after the lease was lost', async () => {
    await using storage = await sampleStorage('pg17');
    const target = await openTarget(storage, 'pg17');
    const layers = target.source.layers.layers.map(({ objectKey }) => objectKey.split('/').at(-1));
    const note = { version: 1, noted_at: '2000-01-01T00:00:00Z', timeline_id: target.timelineId };
    await storage.put(`${NOTES(target)}a.json`, json({ ...note, layers }));
    const lost = new Error('lost');
    const run = deleteNotedLayers(storage, {
      tenantId: target.tenantId,
      timelineId: target.timelineId,
      now: NOW,
      graceMs: 0,
      assertHeld: () => Promise.reject(lost),
    });
    await expect(run).rejects.toBe(lost);
    expect(await deleteNoted(target, NOW)).toBe(0);
    for (const { objectKey } of target.source.layers.layers) await storage.head(objectKey);
  });

  test.each([
    ['no JSON', new Uint8Array(3)],
    ['no object', json(null)],
    ['an unknown version', json({ version: 2 })],
    ['no time', json({ version: 1, noted_at: 1 })],
    ['a timeline elsewhere', json({ version: 1, noted_at: '2000-01-01T00:00:00Z', timeline_id: '../x' })],
    [
      'an index',
      json({
        version: 1,
        noted_at: '2000-01-01T00:00:00Z',
        timeline_id: '1'.repeat(32),
        layers: ['index_part.json-00000001'],
      }),
    ],
  ])('that say nothing clear are errors: %s', async (_, bytes) => {
    await using storage = await sampleStorage('pg14');
    const target = await openTarget(storage, 'pg14');
    await storage.put(`${NOTES(target)}x.json`, bytes);
    await expect(deleteNoted(target, NOW)).rejects.toMatchObject({ code: 'PAGESERVER_INVALID_STATE' });
  });
});

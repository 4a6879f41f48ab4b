import type { RedoFunction } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import { createFaultyStorage, type PlannedFault } from '@neon-snapshot/storage-conformance';
import { createMemoryStorage, isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { createBranch } from '../branches/create-branch.ts';
import { layerMapFaults } from '../testing/layer-map-faults.ts';
import { LivingTimeline, MAIN, TENANT } from '../testing/living-timeline.ts';
import { MemoryHost } from '../testing/memory-host.ts';
import { type MaintenanceDone, TimelineMaintenance } from './timeline-maintenance.ts';

const GENERATION = 3;
const MINUTE_MS = 60_000;
const START_MS = Date.parse('2026-11-24T10:00:00Z');
const BRANCH = '30303030303030303030303030303030';

const SETTINGS = {
  l0CountMin: 3,
  l0CountMax: 5,
  l1CountMin: 3,
  l1BytesMax: 300,
  l1SmallBytesMax: 1_000_000,
  imageDeltasMin: 2,
  imageDeltasMax: 6,
  imageChangedRatio: 0.5,
  partitionBytes: 6 * 8192,
  imageBytesMax: 80 * 1024,
  gcPeriodMs: 30 * MINUTE_MS,
  gcHorizonBytes: 0,
};

/** Numbers that look random and are the same every time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function setUp(options: { seed: number; storage?: Storage; redo?: RedoFunction }) {
  const { storage = createMemoryStorage(), redo } = options;
  const random = numbers(options.seed);
  const timeline = await LivingTimeline.open({ storage, blocks: 20, generation: GENERATION, random, redo });
  let nowMs = START_MS;
  const done: MaintenanceDone[] = [];
  const maintenance = new TimelineMaintenance(timeline.target, {
    bucket: storage,
    generation: GENERATION,
    assertHeld: async () => {},
    leased: () => [],
    now: () => new Date(nowMs),
    pitrIntervalMs: 120 * MINUTE_MS,
    gcGraceMs: 60 * MINUTE_MS,
    settings: SETTINGS,
    onDone: (each) => done.push(each),
  });
  const cutoff = (): Lsn => timeline.target.source.index.metadata.latestGcCutoffLsn;
  /** Ten minutes of work. */
  const liveOn = async () => {
    timeline.write(1 + random(12));
    await timeline.flush();
    nowMs += 10 * MINUTE_MS;
  };
  return { storage, timeline, maintenance, done, cutoff, liveOn, random };
}

async function assertLayersAreThere({ target }: LivingTimeline): Promise<void> {
  for (const { objectKey, sizeBytes } of target.source.layers.layers)
    expect((await target.storage.head(objectKey)).sizeBytes).toBe(sizeBytes);
  expect(layerMapFaults(target.source.layers.layers.map(({ desc }) => desc))).toEqual([]);
}

async function layerObjectCount(storage: Storage): Promise<number> {
  let count = 0;
  for await (const { objects } of storage.list({ prefix: 'tenants/' }))
    count += objects.filter(({ key }) => /\/[0-9A-F]{36}-/.test(key)).length;
  return count;
}

describe('a timeline that is looked after', () => {
  test('reads the same all the time, with few layers, and its history ends behind the interval', async () => {
    const { storage, timeline, maintenance, done, cutoff, liveOn } = await setUp({ seed: 1 });
    const ends: Lsn[] = [timeline.end];
    for (let round = 0; round < 60; round += 1) {
      await liveOn();
      await maintenance.run();
      ends.push(timeline.end);
      expect(maintenance.l0Count).toBeLessThan(SETTINGS.l0CountMin);
      // History goes back for twelve rounds, and at most for the three of a GC period and this one more.
      expect(cutoff()).toBeLessThanOrEqual(ends.at(-13) ?? ends[0] ?? cutoff());
      expect(cutoff()).toBeGreaterThanOrEqual(ends.at(-17) ?? lsn(0n));
      await assertLayersAreThere(timeline);
      expect(timeline.layersOfRead()).toBeLessThan(12);
      if (round % 6 === 5) expect(await timeline.wrongPages(cutoff())).toEqual([]);
    }
    const { layers } = timeline.target.source.layers;
    expect(await layerObjectCount(storage)).toBeLessThan(3 * layers.length);
    expect(maintenance.counters).toMatchObject({ runs: 60, failures: 0 });
    const whats = new Set(done.map(({ what }) => what));
    expect([...whats].sort()).toEqual(['deletion', 'gc', 'images', 'l0-compaction', 'l1-compaction']);
    for (const [name, value] of Object.entries(maintenance.counters))
      if (name !== 'failures') expect(value, name).toBeGreaterThan(0);
  });

  test('keeps a snapshot and a branch readable for ever', async () => {
    const { storage, timeline, maintenance, cutoff, liveOn } = await setUp({ seed: 2 });
    const host = new MemoryHost({ bucket: storage, tenantId: TENANT, generation: GENERATION });
    await host.addTimeline(MAIN);
    let [snapshotLsn, branchLsn] = [timeline.end, timeline.end];
    for (let round = 0; round < 50; round += 1) {
      await liveOn();
      await maintenance.run();
      if (round === 8) {
        snapshotLsn = timeline.end;
        const { snapshots } = openRefs({ storage, tenantId: TENANT });
        await snapshots.create('kept', { timelineId: MAIN, lsn: snapshotLsn });
      }
      if (round !== 14) continue;
      await host.target(MAIN).reload();
      const made = await createBranch(host, { parentId: MAIN, timelineId: BRANCH, start: { kind: 'tip' } });
      branchLsn = made.ancestorLsn;
    }
    expect(cutoff()).toBeGreaterThan(branchLsn);
    const branch = await host.addTimeline(BRANCH);
    await branch.reload();
    expect(await timeline.wrongPages(branchLsn, { source: branch.source, last: branchLsn })).toEqual([]);
    const { index } = timeline.target.source;
    const metadata = { ...index.metadata, latestGcCutoffLsn: snapshotLsn };
    const pinned = { ...timeline.target.source, index: { ...index, metadata } };
    expect(await timeline.wrongPages(snapshotLsn, { source: pinned, last: snapshotLsn })).toEqual([]);
    expect(await timeline.wrongPages(cutoff())).toEqual([]);
  });

  test('goes on with the rest where no image can be made', async () => {
    const redo: RedoFunction = () => Promise.reject(new Error('this record cannot be replayed'));
    const { timeline, maintenance, done, cutoff, liveOn } = await setUp({ seed: 5, redo });
    const first = cutoff();
    for (let round = 0; round < 24; round += 1) {
      await liveOn();
      await maintenance
        .run()
        .catch((error: unknown) =>
          expect(error).toMatchObject({ message: 'this record cannot be replayed' }),
        );
    }
    expect(maintenance.counters.failures).toBeGreaterThan(3);
    expect(cutoff()).toBeGreaterThan(first);
    expect([...new Set(done.map(({ what }) => what))].sort()).toEqual([
      'deletion',
      'gc',
      'l0-compaction',
      'l1-compaction',
    ]);
    expect(await timeline.wrongPages(cutoff())).toEqual([]);
  });

  test('survives a storage that fails all the time', async () => {
    const random = numbers(3);
    const inner = createMemoryStorage();
    const plan: PlannedFault[] = [];
    for (let nth = 20; nth < 4000; nth += 1 + random(14))
      plan.push({
        verb: random(2) === 0 ? 'put' : 'get',
        nth,
        fault: { kind: random(2) === 0 ? 'error' : 'reset', after: random(300) },
      });
    const storage = createFaultyStorage(inner, { plan });
    const { timeline, maintenance, cutoff, liveOn } = await setUp({ seed: 4, storage });
    /** Until the storage lets it pass. */
    const trying = async (work: () => Promise<void>) => {
      for (;;) {
        try {
          return await work();
        } catch (error) {
          if (!isStorageError(error)) throw error;
        }
        // A put whose answer was an error may have been done.
        await trying(() => timeline.target.reload());
      }
    };
    for (let round = 0; round < 24; round += 1) {
      await trying(liveOn);
      await trying(() => maintenance.run());
    }
    expect(maintenance.counters.failures).toBeGreaterThan(3);
    expect(storage.callCount('put')).toBeGreaterThan(100);
    for (const { objectKey, sizeBytes } of timeline.target.source.layers.layers)
      expect((await inner.head(objectKey)).sizeBytes).toBe(sizeBytes);
    expect(await timeline.wrongPages(cutoff(), { storage: inner })).toEqual([]);
  });
});

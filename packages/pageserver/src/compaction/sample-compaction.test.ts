import { keyToHex, type LayerDesc, SPARSE_KEYS_START, TimelineView } from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { layerMapFaults } from '../testing/layer-map-faults.ts';
import { MemoryTarget } from '../testing/memory-target.ts';
import { mergeL0 } from '../testing/merge-layers.ts';
import {
  HAS_SAMPLES,
  listedValues,
  phaseLsn,
  SAMPLES_NOTE,
  type SamplePoint,
  sampleFacts,
  sampleKeyspace,
  sampleStorage,
  wrongValues,
} from '../testing/sample-timelines.ts';
import { createImages } from './create-images.ts';
import { collectKeyspace } from './keyspace.ts';
import { keyBehind } from './partition.ts';
import { StagedLayers } from './staged-layers.ts';

const MIB = 1024 * 1024;
const L0 = { countMin: 2, countMax: 20, bytesMax: 1024 * MIB, layerBytesMax: MIB };
const DUE = { deltasMin: 1, deltasMax: 9, changedRatio: 0 };
const IMAGES = { ...DUE, partitionBytes: 4 * MIB, imageBytesMax: 256 * 1024 };

const POINTS: readonly SamplePoint[] = [
  { sample: 'pg16', timeline: 'main', phase: 'base' },
  { sample: 'pg16', timeline: 'main', phase: 'p1' },
  { sample: 'pg16', timeline: 'main', phase: 'p2' },
  { sample: 'pg16', timeline: 'main', phase: 'p3' },
  { sample: 'pg16', timeline: 'branch', phase: 'p2' },
  { sample: 'pg17', timeline: 'main', phase: 'base' },
  { sample: 'pg17', timeline: 'main', phase: 'p1' },
  { sample: 'pg17', timeline: 'main', phase: 'p2' },
  { sample: 'pg17', timeline: 'main', phase: 'p3' },
  { sample: 'pg17', timeline: 'branch', phase: 'p2' },
];

async function openTarget(storage: Storage, sample: string, timeline: string): Promise<MemoryTarget> {
  const { tenant, timelines } = sampleFacts(sample);
  return MemoryTarget.open({
    storage,
    tenantId: tenant,
    timelineId: timelines[timeline] ?? '',
    generation: 9,
  });
}

/** The points of a sample that do not read as listed. */
async function wrongPoints(storage: Storage, sample: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const point of POINTS.filter((each) => each.sample === sample)) {
    const rows = await wrongValues(storage, point);
    if (rows.length > 0) wrong.push(`${point.timeline} ${point.phase}: ${rows.length}, first ${rows[0]}`);
  }
  return wrong;
}

const descs = (target: MemoryTarget): readonly LayerDesc[] =>
  target.source.layers.layers.map(({ desc }) => desc);

describe.runIf(HAS_SAMPLES)(`timelines of a real page server${SAMPLES_NOTE}`, () => {
  test.each(POINTS)('have the live keys of $sample $timeline $phase', async (point) => {
    await using storage = await sampleStorage(point.sample);
    const { source, redo } = await openTarget(storage, point.sample, point.timeline);
    const view = await TimelineView.open(storage, source, {
      lsn: phaseLsn(point.sample, point.phase),
      redo,
    });
    const ranges: [string, string][] = [];
    for (const { key, count } of await collectKeyspace(view)) {
      const [start, end] = [keyToHex(key), keyToHex(endOf(key, count))];
      const last = ranges.at(-1);
      if (last?.[1] === start) last[1] = end;
      else ranges.push([start, end]);
    }
    view.close();
    expect(ranges).toEqual(sampleKeyspace(point));
  });

  test.each(['pg16', 'pg17'])('read the same after L0 layers of %s became L1 layers', async (sample) => {
    await using storage = await sampleStorage(sample);
    for (const timeline of ['main', 'branch']) {
      const target = await openTarget(storage, sample, timeline);
      const before = descs(target).filter(({ kind }) => kind === 'delta').length;
      const removed = await mergeL0(target, L0);
      if (sample === 'pg17' && timeline === 'main') expect(removed).toBeUndefined();
      else expect(removed?.length).toBeGreaterThan(1);
      for (const { objectKey } of removed ?? []) await storage.delete([objectKey]);
      expect(layerMapFaults(descs(target))).toEqual([]);
      const added = before - (removed?.length ?? 0) + target.put.length;
      expect(descs(target).filter(({ kind }) => kind === 'delta').length).toBe(added);
      for (const { sizeBytes } of target.put) expect(sizeBytes).toBeLessThan(1.2 * MIB);
    }
    expect(await wrongPoints(storage, sample)).toEqual([]);
  });

  test.each(['pg16', 'pg17'])('read the same after image layers of %s were made', async (sample) => {
    await using storage = await sampleStorage(sample);
    for (const timeline of ['main', 'branch']) {
      const target = await openTarget(storage, sample, timeline);
      await mergeL0(target, L0);
      const at = await createImages(target, new StagedLayers(target), IMAGES);
      expect(at).toBe(target.source.index.diskConsistentLsn);
      expect(layerMapFaults(descs(target))).toEqual([]);
      expect(await createImages(target, new StagedLayers(target), IMAGES)).toBeUndefined();
      for (const { desc, sizeBytes } of target.put)
        if (desc.kind === 'image') expect(sizeBytes).toBeLessThanOrEqual(IMAGES.imageBytesMax);
    }
    expect(await wrongPoints(storage, sample)).toEqual([]);
  });

  test.each(['pg16', 'pg17'])('give images of %s that need nothing below them', async (sample) => {
    await using storage = await sampleStorage(sample);
    const target = await openTarget(storage, sample, 'main');
    await mergeL0(target, L0);
    const at = await createImages(target, new StagedLayers(target), IMAGES);
    const images = target.put.filter(({ desc }) => desc.kind === 'image');
    const others = descs(target).filter((desc) => desc.kind === 'delta' || desc.lsnStart !== at);
    const names = target.source.layers.layers.filter(({ desc }) => others.includes(desc));
    for (const { objectKey } of names) await storage.delete([objectKey]);
    const point = { sample, timeline: 'main', phase: 'p3' };
    const inImages = listedValues(point).filter(([key]) =>
      images.some(({ desc }) => keyToHex(desc.keyStart) <= key && key < keyToHex(desc.keyEnd)),
    );
    expect(inImages.length).toBeGreaterThan(5000);
    expect(keyToHex(SPARSE_KEYS_START) > (inImages.at(-1)?.[0] ?? '')).toBe(true);
    const redo = createValueRedo(sampleFacts(sample).major);
    const view = await TimelineView.open(storage, target.source, { redo });
    const missing: string[] = [];
    for (const [key] of inImages) {
      if ((await view.get(Uint8Array.from(Buffer.from(key, 'hex')))) === undefined) missing.push(key);
    }
    view.close();
    expect(missing).toEqual([]);
  });

  test('are left alone by an aborted run, which can be made anew', async () => {
    await using storage = await sampleStorage('pg16');
    const target = await openTarget(storage, 'pg16', 'branch');
    const before = target.source;
    const abort = new AbortController();
    const put = target.putLayer.bind(target);
    target.putLayer = async (layer, options) => {
      if (target.put.length === 3) abort.abort(new Error('stop'));
      return put(layer, options);
    };
    const staged = new StagedLayers(target);
    const run = mergeL0(target, { ...L0, signal: abort.signal }, staged);
    await expect(run).rejects.toMatchObject({ code: 'STORAGE_ABORTED' });
    expect(target.source).toBe(before);
    expect(staged.waiting.length).toBe(3);
    await mergeL0(target, L0);
    expect(await wrongValues(storage, { sample: 'pg16', timeline: 'branch', phase: 'p2' })).toEqual([]);
  });
});

function endOf(key: Uint8Array, count: number): Uint8Array {
  const end = keyBehind(key, count);
  // Behind the last block number comes the next fork.
  if (keyToHex(end) < keyToHex(key)) end[13] = (end[13] ?? 0) + 1;
  return end;
}

import { type LayerDesc, openTimelineView } from '@neon-snapshot/neon-layer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layerMapFaults } from '../testing/layer-map-faults.ts';
import {
  addLayers,
  appendRedo,
  type Change,
  imageLayer,
  keyOf,
  l0Layer,
  MAIN,
  openMadeUp,
  START,
  TENANT,
  toLsn,
  valueAt,
} from '../testing/made-up-history.ts';
import type { MemoryTarget } from '../testing/memory-target.ts';
import { mergeL0, mergeL1 } from '../testing/merge-layers.ts';
import { planGarbage } from './gc-plan.ts';
import { retainedPoints } from './retained-points.ts';

const KEYS = 6;
const END = 160;

const change = fc.record({
  key: fc.integer({ min: 0, max: KEYS - 1 }),
  lsn: fc.integer({ min: START + 1, max: END }),
  isImage: fc.boolean(),
});
const lsnInside = fc.integer({ min: START, max: END });

/** What may have happened to a timeline. */
const history = fc.record({
  changes: fc.uniqueArray(change, { selector: ({ key, lsn }) => `${key} ${lsn}`, maxLength: 60 }),
  /** Where one L0 layer ends and the next one begins. */
  flushes: fc.uniqueArray(fc.integer({ min: START + 2, max: END }), { maxLength: 8 }),
  compactions: fc.array(fc.record({ layerBytesMax: fc.integer({ min: 1, max: 60 }), isL1: fc.boolean() }), {
    maxLength: 4,
  }),
  images: fc.array(
    fc.record({
      at: lsnInside,
      first: fc.integer({ min: 0, max: KEYS - 1 }),
      count: fc.integer({ min: 1, max: KEYS }),
    }),
    { maxLength: 8 },
  ),
  cutoff: lsnInside,
  retained: fc.array(lsnInside, { maxLength: 3 }),
});

type History = typeof history extends fc.Arbitrary<infer Made> ? Made : never;

async function makeTimeline({ changes, flushes, compactions, images }: History): Promise<MemoryTarget> {
  const target = await openMadeUp(KEYS, END);
  const ends = [...flushes.toSorted((a, b) => a - b), END + 1];
  const starts = [START + 1, ...ends];
  await addLayers(
    target,
    ends.map((end, i) => l0Layer(changes, starts[i] ?? end, end)),
  );
  for (const { layerBytesMax, isL1 } of compactions) {
    const options = { countMin: isL1 ? 2 : 1, countMax: 2, bytesMax: 2 ** 30, layerBytesMax };
    if (isL1) await mergeL1(target, { ...options, stripeBytesMax: 2 ** 20 });
    else await mergeL0(target, options);
  }
  await addLayers(
    target,
    images.map(({ at, first, count }) =>
      imageLayer(changes, { at, first, end: Math.min(first + count, KEYS), keyCount: KEYS }),
    ),
  );
  return target;
}

/** Every key at every LSN that may be read, where it does not read as it should. */
async function wrongReads(target: MemoryTarget, changes: readonly Change[], lsns: Iterable<number>) {
  const wrong: string[] = [];
  const keys = Array.from({ length: KEYS }, (_, key) => keyOf(key));
  const view = await openTimelineView(target.storage, { tenant: TENANT, timelineId: MAIN, redo: appendRedo });
  for (const at of lsns) {
    const values = await view.at(toLsn(at)).getMany(keys);
    for (const key of keys.keys()) {
      const expected = valueAt(changes, key, at);
      if (Buffer.compare(values[key] ?? new Uint8Array(), expected) !== 0) wrong.push(`${key} at ${at}`);
    }
  }
  view.close();
  return wrong;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('garbage', () => {
  test('is never what a readable LSN needs, whatever layers there are', { timeout: 120_000 }, async () => {
    let removedLayers = 0;
    await fc.assert(
      fc.asyncProperty(history, async (made) => {
        const target = await makeTimeline(made);
        expect(layerMapFaults(target.source.layers.layers.map(({ desc }) => desc))).toEqual([]);
        expect(await wrongReads(target, made.changes, range(START, END))).toEqual([]);
        const garbage = planGarbage(target.source.layers.layers, {
          cutoff: toLsn(made.cutoff),
          retained: made.retained.map(toLsn),
        });
        const removed = await target.publish({ remove: garbage.map(({ name }) => name) });
        await target.storage.delete(removed.map(({ objectKey }) => objectKey));
        removedLayers += removed.length;
        const readable = new Set([...made.retained, ...range(made.cutoff, END)]);
        expect(await wrongReads(target, made.changes, readable)).toEqual([]);
      }),
      { numRuns: 100 },
    );
    expect(removedLayers).toBeGreaterThan(30);
  });

  const layer = (
    kind: 'image' | 'delta',
    [from, to]: readonly [number, number],
    keys?: readonly [number, number],
  ) => {
    const [first, end] = keys ?? [0, 9];
    const desc: LayerDesc = {
      kind,
      keyStart: keyOf(first),
      keyEnd: keyOf(end),
      lsnStart: toLsn(from),
      lsnEnd: toLsn(to),
    };
    return { desc, name: `${kind} ${from}` };
  };
  const namesOf = (
    layers: readonly { readonly desc: LayerDesc; readonly name: string }[],
    cutoff: number,
    retained: readonly number[] = [],
  ) => planGarbage(layers, { cutoff: toLsn(cutoff), retained: retained.map(toLsn) }).map(({ name }) => name);
  const layers = [
    layer('image', [10, 11]),
    layer('delta', [11, 20]),
    layer('image', [19, 20]),
    layer('delta', [20, 30]),
    layer('image', [29, 30]),
    layer('delta', [30, 40]),
  ];

  test('is all that newer images replace at the cutoff', () => {
    expect(namesOf(layers, 18)).toEqual([]);
    expect(namesOf(layers, 19)).toEqual(['image 10', 'delta 11']);
    expect(namesOf(layers, 28)).toEqual(['image 10', 'delta 11']);
    expect(namesOf(layers, 39)).toEqual(['image 10', 'delta 11', 'image 19', 'delta 20']);
  });

  test('is not what images replace in part', () => {
    const gap = [...layers.slice(0, 4), layer('image', [29, 30], [0, 8]), layer('image', [35, 36], [8, 9])];
    expect(namesOf(gap, 34)).toEqual(['image 10', 'delta 11']);
    expect(namesOf(gap, 35)).toEqual(['image 10', 'delta 11', 'image 19', 'delta 20']);
  });

  test('leaves to a pinned LSN what it is read from, and no more', () => {
    expect(namesOf(layers, 39, [25])).toEqual(['image 10', 'delta 11']);
    expect(namesOf(layers, 39, [19])).toEqual(['image 10', 'delta 11', 'delta 20']);
    expect(namesOf(layers, 39, [15])).toEqual(['image 19', 'delta 20']);
    expect(namesOf(layers, 39, [15, 25])).toEqual([]);
    expect(namesOf(layers, 39, [5])).toEqual(['image 10', 'delta 11', 'image 19', 'delta 20']);
  });
});

describe('retained points', () => {
  const line = (timelineId: string, ancestor?: string, at = 0) => ({
    timelineId,
    ancestor: ancestor === undefined ? undefined : { timelineId: ancestor, lsn: toLsn(at) },
  });
  const tree = [line('a'), line('b', 'a', 50), line('c', 'b', 80), line('d', 'b', 30), line('e', 'a', 60)];

  test('are those of branches, also of branches of branches that left before', () => {
    expect(retainedPoints('a', tree, [])).toEqual([30n, 50n, 60n]);
    expect(retainedPoints('b', tree, [])).toEqual([30n, 80n]);
    expect(retainedPoints('c', tree, [])).toEqual([]);
  });

  test('are those that are pinned in the timeline, or in a branch before its branch point', () => {
    const pin = (timelineId: string, at: number) => ({ timelineId, lsn: toLsn(at) });
    expect(retainedPoints('a', tree, [pin('a', 20), pin('c', 40), pin('e', 70), pin('x', 1)])).toEqual([
      20n,
      30n,
      40n,
      50n,
      60n,
    ]);
  });

  test('do not hang on an ancestry that does not end', () => {
    expect(retainedPoints('a', [line('a', 'b', 5), line('b', 'a', 6)], [])).toEqual([6n]);
  });
});

import {
  compareKeys,
  KEY_MAX,
  KEY_MIN,
  KEY_SIZE,
  keyFromHex,
  keyToHex,
  type LayerDesc,
  nextKey,
} from '@neon-snapshot/neon-layer';
import { lsn } from '@neon-snapshot/postgres';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layerMapFaults } from '../testing/layer-map-faults.ts';
import { planL0, planL1 } from './delta-plans.ts';
import { ImageCoverage } from './image-coverage.ts';
import { deepRanges, duePartitions, imageLsn } from './image-plan.ts';
import { L1Divider, lsnOf, type SizedValue } from './l1-divider.ts';
import { mergeSorted } from './merge-sorted.ts';
import { partitionKeys } from './partition.ts';

const key = (first: number) => keyFromHex(first.toString(16).padStart(2, '0').padEnd(36, '0'));
const at = (value: number) => lsn(BigInt(value));
const keyAndLsn = (first: number, lsnAt: number) =>
  Uint8Array.from([...key(first), 0, 0, 0, 0, 0, 0, lsnAt >> 8, lsnAt & 255]);

function delta([from, to]: readonly [number, number], keys?: readonly [number, number]): LayerDesc {
  const [keyStart, keyEnd] = keys === undefined ? [KEY_MIN, KEY_MAX] : [key(keys[0]), key(keys[1])];
  return { kind: 'delta', keyStart, keyEnd, lsnStart: at(from), lsnEnd: at(to) };
}

function image(lsnAt: number, keys: readonly [number, number]): LayerDesc {
  return {
    kind: 'image',
    keyStart: key(keys[0]),
    keyEnd: key(keys[1]),
    lsnStart: at(lsnAt),
    lsnEnd: at(lsnAt + 1),
  };
}

describe('the plan for L0 layers', () => {
  const sized = (descs: readonly LayerDesc[]) => descs.map((desc) => ({ desc, sizeBytes: 100 }));
  const options = { countMin: 3, countMax: 5, bytesMax: 1000 };
  const spans = (descs: readonly LayerDesc[], changes: Partial<typeof options> = {}) =>
    planL0(sized(descs), { ...options, ...changes })?.stripes.map(({ lsnStart }) => Number(lsnStart));

  test('waits until there are enough, whatever other layers there are', () => {
    expect(spans([delta([1, 5]), delta([5, 9]), delta([1, 9], [0, 9]), image(3, [0, 255])])).toBeUndefined();
    expect(spans([delta([5, 9]), delta([1, 5]), delta([9, 12])])).toEqual([1, 5, 9]);
  });

  test('ends where the LSNs have a gap, and at its limits', () => {
    expect(spans([delta([1, 5]), delta([5, 9]), delta([10, 12])])).toEqual([1, 5]);
    const many = Array.from({ length: 8 }, (_, i) => delta([i, i + 1]));
    expect(spans(many)).toEqual([0, 1, 2, 3, 4]);
    expect(spans(many, { bytesMax: 250 })).toEqual([0, 1]);
    expect(spans(many, { bytesMax: 10 })).toEqual([0]);
  });
});

describe('the plan for L1 layers', () => {
  const options = { countMin: 2, countMax: 5, bytesMax: 10_000, stripeBytesMax: 1000 };
  const plan = (
    layers: readonly (readonly [LayerDesc, number?])[],
    changes: Partial<typeof options> = {},
  ) => {
    const sized = layers.map(([desc, sizeBytes = 100]) => ({ desc, sizeBytes }));
    return planL1(sized, { ...options, ...changes })?.stripes.map(({ lsnStart, layers: own }) => [
      Number(lsnStart),
      own.length,
    ]);
  };

  test('takes small ones that follow each other, whole LSN ranges at a time', () => {
    const layers = [
      [delta([1, 10], [0, 50])],
      [delta([1, 10], [60, 70])],
      [delta([10, 20], [0, 99])],
      [delta([20, 30])],
      [image(15, [0, 255])],
    ] as const;
    expect(plan(layers)).toEqual([
      [1, 2],
      [10, 1],
    ]);
    expect(plan(layers, { countMin: 3 })).toBeUndefined();
    expect(plan(layers.slice(2))).toBeUndefined();
  });

  test('leaves large ones, and goes on behind them and behind gaps', () => {
    const large = [delta([10, 20], [0, 99]), 2000] as const;
    const layers = [[delta([1, 10], [0, 50])], large, [delta([20, 30], [0, 9])]] as const;
    expect(plan(layers)).toBeUndefined();
    expect(plan([...layers, [delta([30, 40], [0, 9])]])).toEqual([
      [20, 1],
      [30, 1],
    ]);
    const gap = [[delta([1, 10], [0, 9])], [delta([11, 20], [0, 9])], [delta([20, 30], [0, 9])]] as const;
    expect(plan(gap)).toEqual([
      [11, 1],
      [20, 1],
    ]);
  });

  test('leaves layers alone whose LSN ranges overlap in another way than ours do', () => {
    const layers = [
      [delta([1, 10], [0, 50])],
      [delta([5, 15], [60, 70])],
      [delta([10, 20], [0, 50])],
      [delta([20, 30], [0, 50])],
    ] as const;
    expect(plan(layers)).toBeUndefined();
  });
});

describe('the cuts of L1 layers', () => {
  /** Keys with their values' LSNs and sizes. */
  const contents = fc.dictionary(
    fc.integer({ min: 0, max: 250 }).map(String),
    fc.dictionary(fc.integer({ min: 10, max: 99 }).map(String), fc.integer({ min: 1, max: 60 }), {
      minKeys: 1,
    }),
    { minKeys: 1, maxKeys: 30 },
  );

  function entriesOf(content: Record<string, Record<string, number>>): SizedValue[] {
    return Object.entries(content).flatMap(([number, values]) =>
      Object.entries(values).map(([lsnText, length]) => ({
        keyAndLsn: keyAndLsn(Number(number), Number(lsnText)),
        length,
      })),
    );
  }

  test('put every value into exactly one layer of bounded size, and no two layers overlap in part', async () => {
    await fc.assert(
      fc.asyncProperty(contents, fc.integer({ min: 20, max: 300 }), async (content, layerBytesMax) => {
        const entries = entriesOf(content);
        const cuts: LayerDesc[] = [];
        const contents: SizedValue[][] = [];
        let start = { keyStart: KEY_MIN, lsnStart: at(0) };
        const divider = new L1Divider(
          {
            open: (opened) => {
              start = opened;
              contents.push([]);
            },
            append: (value) => contents.at(-1)?.push(value),
            close: async (end) => {
              cuts.push({ kind: 'delta', ...start, ...end });
            },
          },
          { lsnStart: at(5), lsnEnd: at(200), layerBytesMax },
        );
        for (const entry of entries) if (!divider.addNow(entry)) await divider.addClosing(entry);
        await divider.finish();
        expect(contents.flat()).toEqual(entries);
        expect(contents.length).toBe(cuts.length);
        expect(layerMapFaults(cuts)).toEqual([]);
        for (const [i, { keyStart, keyEnd, lsnStart, lsnEnd }] of cuts.entries()) {
          const own = contents[i] ?? [];
          expect(own.length).toBeGreaterThan(0);
          for (const value of own) {
            expect(compareKeys(value.keyAndLsn.subarray(0, KEY_SIZE), keyStart)).toBeGreaterThanOrEqual(0);
            expect(compareKeys(value.keyAndLsn.subarray(0, KEY_SIZE), keyEnd)).toBeLessThan(0);
            expect(lsnOf(value) >= lsnStart && lsnOf(value) < lsnEnd).toBe(true);
          }
          const size = own.reduce((sum, { length }) => sum + length, 0);
          expect(own.length === 1 || size <= layerBytesMax).toBe(true);
          if (lsnStart !== 5n || lsnEnd !== 200n) expect(keyEnd).toEqual(nextKey(keyStart));
        }
      }),
    );
  });

  test('are made from a merge that loses and reorders nothing', async () => {
    await fc.assert(
      fc.asyncProperty(contents, fc.integer({ min: 1, max: 5 }), async (content, streamCount) => {
        const entries = entriesOf(content);
        async function* stream(own: readonly SizedValue[]) {
          for (let i = 0; i < own.length; i += 3) yield own.slice(i, i + 3);
        }
        const streams = Array.from({ length: streamCount }, (_, n) =>
          stream(entries.filter((_, i) => (i * 7) % streamCount === n)),
        );
        const merged: SizedValue[] = [];
        for await (const group of mergeSorted(streams)) merged.push(...group);
        expect(merged).toEqual(entries);
      }),
    );
  });
});

describe('image layers', () => {
  const hexRanges = (layers: readonly LayerDesc[], lsnAt: number, deltasMin: number) =>
    deepRanges(
      layers.map((desc) => ({ desc })),
      { at: at(lsnAt), deltasMin },
    ).map(({ start, end }) => [start[0], end[0]]);

  test('are due where enough L1 layers lie on the newest image', () => {
    const layers = [
      image(10, [0, 100]),
      delta([11, 20], [0, 60]),
      delta([20, 30], [40, 100]),
      delta([30, 40], [50, 200]),
      delta([40, 50]),
    ];
    expect(hexRanges(layers, 39, 3)).toEqual([[50, 60]]);
    expect(hexRanges(layers, 39, 2)).toEqual([[40, 100]]);
    expect(hexRanges(layers, 39, 1)).toEqual([[0, 200]]);
    expect(hexRanges([...layers, image(39, [45, 55])], 39, 2)).toEqual([
      [40, 45],
      [55, 100],
    ]);
    expect(hexRanges([image(25, [0, 100]), ...layers], 39, 2)).toEqual([[50, 100]]);
  });

  test('lie at the last LSN of the newest L1 layer', () => {
    expect(imageLsn([{ desc: delta([40, 50]) }, { desc: image(45, [0, 9]) }])).toBeUndefined();
    expect(imageLsn([{ desc: delta([40, 50]) }, { desc: delta([11, 30], [0, 9]) }])).toBe(29n);
  });

  test('cover a range when they leave no key out, at the LSN that is asked for', () => {
    const whole = { start: key(0), end: key(100) };
    const covers = (images: readonly LayerDesc[], lsnMin = 0n) =>
      new ImageCoverage(images, at(50)).covers(whole, lsnMin);
    expect(covers([image(1, [50, 120]), image(1, [0, 50])])).toBe(true);
    expect(covers([image(1, [51, 120]), image(1, [0, 50])])).toBe(false);
    expect(covers([image(1, [0, 99])])).toBe(false);
    expect(covers([])).toBe(false);
    expect(covers([image(10, [0, 120]), image(20, [0, 60]), image(20, [60, 100])], 20n)).toBe(true);
    expect(covers([image(10, [0, 120]), image(20, [0, 60]), image(19, [60, 100])], 20n)).toBe(false);
    expect(covers([image(51, [0, 120])])).toBe(false);
  });

  test('are due where the changes are worth it, or where there are too many layers', () => {
    const live = [1, 2, 3].map((number) => ({ key: key(number * 50), count: 100, tag: undefined }));
    const parts = partitionKeys(live, 100);
    const sized = (sizeBytes: number) => (desc: LayerDesc) => ({ desc, sizeBytes });
    const stack = [delta([1, 10], [50, 60]), delta([10, 20], [50, 130]), delta([20, 30], [50, 60])];
    const due = (sizeBytes: number, changes: object = {}) =>
      duePartitions(parts, stack.map(sized(sizeBytes)), {
        at: at(29),
        deltasMin: 3,
        deltasMax: 9,
        changedRatio: 0.1,
        ...changes,
      }).map(({ range }) => parts.findIndex((part) => part.range === range));
    // 2.5 layers of changes in 100 pages.
    expect(due(32_000)).toEqual([]);
    expect(due(33_000)).toEqual([0]);
    expect(due(33_000, { deltasMin: 4 })).toEqual([]);
    expect(due(1, { deltasMax: 3 })).toEqual([0]);
    expect(due(1, { deltasMin: 1, deltasMax: 1 })).toEqual([0, 1]);
  });

  test('are made by parts that follow each other from the first key to the last', () => {
    const live = [
      { key: key(0), count: 1, tag: undefined },
      { key: key(1), count: 10, tag: undefined },
      { key: key(2), count: 3, tag: undefined },
    ];
    const parts = partitionKeys(live, 4);
    expect(parts.map(({ keys }) => keys.map(({ count }) => count))).toEqual([[1, 3], [4], [3, 1], [2]]);
    expect(parts.map(({ range }) => keyToHex(range.start))).toEqual([
      keyToHex(KEY_MIN),
      `01${'0'.repeat(33)}3`,
      `01${'0'.repeat(33)}7`,
      `02${'0'.repeat(33)}1`,
    ]);
    for (const [i, { range }] of parts.entries())
      expect(range.end).toBe(parts[i + 1]?.range.start ?? KEY_MAX);
  });
});

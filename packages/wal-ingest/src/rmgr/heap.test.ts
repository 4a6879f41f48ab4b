import { RESOURCE_MANAGER, type RelTag } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import type { HeapLayout } from '../heap-layout.ts';
import { type BlockParts, makeRecord, u8, zeros } from '../testing/record-builder.ts';
import { makeTestTimeline, TABLE, VISIBILITY_MAP } from '../testing/test-timeline.ts';
import { HEAP_BLOCKS_PER_VM_PAGE } from './heap.ts';

const { heap, heap2 } = RESOURCE_MANAGER;
const RELATIONS: readonly (readonly [RelTag, number])[] = [
  [TABLE, 100_000],
  [VISIBILITY_MAP, 2],
];

/** Main data with flags at an offset. */
function mainWith(flags: number, offset: number): Uint8Array {
  const main = zeros(offset + 1);
  main.set(u8(flags), offset);
  return main;
}

interface Heap {
  readonly resourceManager: number;
  readonly info: number;
  readonly flags: number;
  readonly offset: number;
  /** Heap blocks that the record refers to. */
  readonly heapBlocks: readonly number[];
  readonly major?: number;
  readonly layout?: HeapLayout;
}

/** What a heap record does to the visibility map. */
async function cleared(record: Heap, relations = RELATIONS): Promise<readonly unknown[]> {
  const { resourceManager, info, major = 16, layout = 'stock' } = record;
  const test = await makeTestTimeline({ major, heapLayout: layout, relations });
  const blocks = record.heapBlocks.map((blockNumber): BlockParts => ({ tag: TABLE, blockNumber }));
  const main = mainWith(record.flags, record.offset);
  const writes = await test.take(makeRecord({ resourceManager, info, blocks, main }));
  return writes.filter(([key]) => key.includes('fork 2'));
}

function change(
  page: number,
  fields: { newHeapBlock?: number; oldHeapBlock?: number; flags: number },
): unknown {
  const both = { newHeapBlock: undefined, oldHeapBlock: undefined, ...fields };
  return [`block ${page} of relation 1663/5/16384 fork 2`, { kind: 'clear-visibility-map-flags', ...both }];
}

describe('heap records', () => {
  it.each([
    ['insert', heap, 0x00, 2],
    ['insert into a new page', heap, 0x80, 2],
    ['delete', heap, 0x10, 7],
    ['multi-insert', heap2, 0x50, 0],
  ])('%s: both bits of the first block go', async (_, resourceManager, info, offset) => {
    const record = { resourceManager, info, offset, heapBlocks: [9] };
    expect(await cleared({ ...record, flags: 0x01 })).toEqual([change(0, { newHeapBlock: 9, flags: 3 })]);
    expect(await cleared({ ...record, flags: 0xfe })).toEqual([]);
  });

  it.each([
    ['lock', heap, 0x60],
    ['lock of an updated tuple', heap2, 0x60],
  ])('%s: the all-frozen bit goes', async (_, resourceManager, info) => {
    const record = { resourceManager, info, offset: 7, flags: 0x01, heapBlocks: [9] };
    expect(await cleared(record)).toEqual([change(0, { oldHeapBlock: 9, flags: 2 })]);
  });

  it.each([
    ['update', 0x20],
    ['HOT update', 0x40],
  ])('%s: the old tuple is on the last block, the new on the first', async (_, info) => {
    const update = { resourceManager: heap, info, offset: 7, heapBlocks: [9, 11] };
    expect(await cleared({ ...update, flags: 1 })).toEqual([change(0, { oldHeapBlock: 11, flags: 3 })]);
    expect(await cleared({ ...update, flags: 2 })).toEqual([change(0, { newHeapBlock: 9, flags: 3 })]);
    expect(await cleared({ ...update, flags: 3 })).toEqual([
      change(0, { newHeapBlock: 9, oldHeapBlock: 11, flags: 3 }),
    ]);
    expect(await cleared({ ...update, heapBlocks: [9], flags: 3 })).toEqual([
      change(0, { newHeapBlock: 9, oldHeapBlock: 9, flags: 3 }),
    ]);
  });

  it('give two changes where the blocks are on two pages of the map', async () => {
    const heapBlocks = [HEAP_BLOCKS_PER_VM_PAGE, HEAP_BLOCKS_PER_VM_PAGE - 1];
    expect(await cleared({ resourceManager: heap, info: 0x20, offset: 7, flags: 3, heapBlocks })).toEqual([
      change(1, { newHeapBlock: 32_672, flags: 3 }),
      change(0, { oldHeapBlock: 32_671, flags: 3 }),
    ]);
  });

  it('leave out pages that the map does not have', async () => {
    const update = { resourceManager: heap, info: 0x20, offset: 7, flags: 3 };
    const heapBlocks = [2 * HEAP_BLOCKS_PER_VM_PAGE, 5];
    expect(await cleared({ ...update, heapBlocks })).toEqual([change(0, { oldHeapBlock: 5, flags: 3 })]);
    expect(await cleared({ ...update, heapBlocks }, [[TABLE, 100_000]])).toEqual([]);
  });

  it.each([14, 15])("have their flags elsewhere in WAL of Neon's %i", async (major) => {
    const neon = { resourceManager: heap, major, layout: 'neon', flags: 1, heapBlocks: [9] } as const;
    expect(await cleared({ ...neon, info: 0x10, offset: 13 })).toEqual([
      change(0, { newHeapBlock: 9, flags: 3 }),
    ]);
    expect(await cleared({ ...neon, info: 0x60, offset: 13 })).toEqual([
      change(0, { oldHeapBlock: 9, flags: 2 }),
    ]);
    expect(await cleared({ ...neon, info: 0x20, offset: 7 })).toEqual([
      change(0, { oldHeapBlock: 9, flags: 3 }),
    ]);
  });

  it('of other kinds leave the map alone', async () => {
    for (const info of [0x30, 0x50, 0x70]) {
      expect(
        await cleared({ resourceManager: heap, info, offset: 15, flags: 0xff, heapBlocks: [9] }),
      ).toEqual([]);
    }
  });

  it('that lack their flags or their block are refused', async () => {
    const refusal = { code: 'INGEST_INVALID_RECORD', operation: 'ingest' };
    const short = makeRecord({ resourceManager: heap, info: 0x10, main: zeros(7) });
    await expect((await makeTestTimeline()).take(short)).rejects.toMatchObject(refusal);
    const blockless = makeRecord({ resourceManager: heap, info: 0x10, main: mainWith(1, 7) });
    await expect((await makeTestTimeline()).take(blockless)).rejects.toMatchObject(refusal);
  });
});

import { describe, expect, it } from 'vitest';
import { bytesToHex } from './bytes.ts';
import { DiskBtreeBuilder } from './disk-btree-builder.ts';
import { keyFromHex, relBlockKey, relSizeKey } from './key.ts';

/* Byte vectors were produced by running Neon's own DiskBtreeBuilder. */

const TAG = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;
const REL = '000000067f0000000500000a8c00';

function treeOfPages(count: number) {
  const builder = new DiskBtreeBuilder(18);
  for (let block = 0; block < count; block += 1) builder.append(relBlockKey(TAG, block), 8192 + block);
  return builder.finish();
}

/** The used bytes of a node: header, keys, values; everything behind is zero. */
function usedHex(block: Uint8Array | undefined): string {
  return bytesToHex(block ?? new Uint8Array()).replace(/(00)+$/, '');
}

describe('DiskBtreeBuilder', () => {
  it('writes a leaf of three entries as Neon does', () => {
    const builder = new DiskBtreeBuilder(18);
    builder.append(relBlockKey(TAG, 0), 0x2000);
    builder.append(relBlockKey(TAG, 1), 0x4004);
    builder.append(relSizeKey(TAG), 0x6008);
    const { blocks, rootBlock } = builder.finish();
    expect([blocks.length, rootBlock, blocks[0]?.length]).toEqual([1, 0, 8192]);
    expect(usedHex(blocks[0])).toBe(
      `0003000012${REL}00000000${REL}00000001${REL}ffffffff000000200000000040040000006008`,
    );
  });

  it('writes a delta leaf of one entry as Neon does', () => {
    const builder = new DiskBtreeBuilder(26);
    builder.append(Uint8Array.of(...relBlockKey(TAG, 0), 0, 0, 0, 0, 0x01, 0x4a, 0xec, 0x08), 8192 * 2 + 1);
    expect(usedHex(builder.finish().blocks[0])).toBe(`000100001a${REL}0000000000000000014aec080000004001`);
  });

  it.each([
    [355, 0, 18],
    [356, 16, 2],
    [1167, 16, 2],
  ])('keeps %i consecutive pages in one node with a prefix of %i bytes', (count, prefix, suffix) => {
    const { blocks } = treeOfPages(count);
    expect(blocks.length).toBe(1);
    expect([...(blocks[0]?.subarray(0, 5) ?? [])]).toEqual([count >> 8, count & 0xff, 0, prefix, suffix]);
  });

  it('splits 3000 entries into leaves of 1167, 1167 and 666 below a root', () => {
    const { blocks, rootBlock } = treeOfPages(3000);
    expect([blocks.length, rootBlock]).toEqual([4, 3]);
    const counts = blocks.map((block) => new DataView(block.buffer).getUint16(0));
    expect(counts).toEqual([1167, 1167, 666, 3]);
    expect(bytesToHex(blocks[3]?.subarray(0, 74) ?? new Uint8Array())).toBe(
      `0003010012${REL}00000000${REL}0000048f${REL}0000091e800000000080000000018000000002`,
    );
    expect(bytesToHex(blocks[1] ?? new Uint8Array()).startsWith(`048f001002${REL}0000048f0490`)).toBe(true);
  });

  it('makes 174 blocks of 200,000 entries', () => {
    const { blocks, rootBlock } = treeOfPages(200_000);
    expect([blocks.length, rootBlock]).toEqual([174, 173]);
  });

  it('refuses keys out of order, equal keys, odd sizes, values past 39 bits, and no entry at all', () => {
    const refusal = expect.objectContaining({ code: 'NEON_LAYER_INVALID_ARGUMENT' });
    const builder = new DiskBtreeBuilder(18);
    expect(() => builder.finish()).toThrow(refusal);
    builder.append(relBlockKey(TAG, 1), 1);
    expect(() => builder.append(relBlockKey(TAG, 1), 2)).toThrow(refusal);
    expect(() => builder.append(relBlockKey(TAG, 0), 2)).toThrow(refusal);
    expect(() => builder.append(new Uint8Array(26), 2)).toThrow(refusal);
    expect(() => builder.append(keyFromHex('F'.repeat(36)), 2 ** 39)).toThrow(refusal);
    builder.append(relBlockKey(TAG, 2), 2 ** 39 - 1);
    expect(usedHex(builder.finish().blocks[0]).endsWith('7fffffffff')).toBe(true);
  });
});

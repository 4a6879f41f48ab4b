import { describe, expect, it } from 'vitest';
import { RedoFault } from '../redo-fault.ts';
import { decompressLz4Block } from './lz4-block.ts';
import { decompressPglz } from './pglz.ts';

const TEXT = 'abcabcabcabcabcabcabcabcabcabcX';

/** Three literals, a match of 18 + 9 bytes at distance 3, one literal. */
const PGLZ = Uint8Array.of(0b1000, 97, 98, 99, 0x0f, 3, 9, 88);

/** Three literals, a match of 19 + 8 - 0 bytes at distance 3, then one literal as the last sequence. */
const LZ4 = Uint8Array.of(0x3f, 97, 98, 99, 3, 0, 8, 0x10, 88);

describe.each([
  ['pglz', PGLZ, decompressPglz],
  ['lz4', LZ4, decompressLz4Block],
] as const)('%s', (_, stored, decompress) => {
  it('unpacks literals and overlapping matches', () => {
    const target = new Uint8Array(TEXT.length);
    decompress(stored, target);
    expect(Buffer.from(target).toString()).toBe(TEXT);
  });

  it('refuses streams that are cut, too long, or reach outside', () => {
    const target = new Uint8Array(TEXT.length);
    for (let length = 0; length < stored.length; length++) {
      expect(() => decompress(stored.subarray(0, length), target)).toThrow(RedoFault);
    }
    expect(() => decompress(Uint8Array.of(...stored, 1), target)).toThrow(RedoFault);
    expect(() => decompress(stored, new Uint8Array(TEXT.length + 1))).toThrow(RedoFault);
    expect(() => decompress(stored.with(-3, 255), target)).toThrow(RedoFault);
  });
});

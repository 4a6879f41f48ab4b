import { lsn } from '@neon-snapshot/postgres';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAuxFiles, encodeAuxFiles } from './aux-file-value.ts';
import { bytesToHex, hexToBytes } from './bytes.ts';
import {
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  encodeDbDirectory,
  encodeRelDirectory,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
} from './directory.ts';
import {
  decodeReplOriginValue,
  decodeSizeValue,
  encodeReplOriginValue,
  encodeSizeValue,
} from './scalar-value.ts';

const INVALID = expect.objectContaining({ code: 'NEON_LAYER_INVALID_VALUE' });
const u32 = fc.nat(0xffff_ffff);

describe('directory values', () => {
  it('encode as in Neon', () => {
    const database = { spcNode: 1663, dbNode: 5, hasRelationMap: true };
    expect(bytesToHex(encodeDbDirectory([database]))).toBe('00000000000000010000067f0000000501');
    expect(bytesToHex(encodeRelDirectory([{ relNode: 2700, forkNum: 0 }]))).toBe(
      '000000000000000100000a8c00',
    );
    expect(bytesToHex(encodeSlruSegmentDirectory([0]))).toBe('000000000000000100000000');
    expect(bytesToHex(encodeTwoPhaseDirectory([0x2e1n], 16))).toBe('0000000000000001000002e1');
    expect(bytesToHex(encodeTwoPhaseDirectory([0x2e1n], 17))).toBe('000000000000000100000000000002e1');
    expect(bytesToHex(encodeDbDirectory([]))).toBe('0000000000000000');
  });

  it('come back in their order', () => {
    const databases = fc.array(fc.record({ spcNode: u32, dbNode: u32, hasRelationMap: fc.boolean() }));
    const relations = fc.array(fc.record({ relNode: u32, forkNum: fc.nat(255) }));
    fc.assert(fc.property(databases, roundTrip(encodeDbDirectory, decodeDbDirectory)));
    fc.assert(fc.property(relations, roundTrip(encodeRelDirectory, decodeRelDirectory)));
    fc.assert(fc.property(fc.array(u32), roundTrip(encodeSlruSegmentDirectory, decodeSlruSegmentDirectory)));
    for (const major of [14, 17]) {
      const encode = (xids: readonly bigint[]) => encodeTwoPhaseDirectory(xids, major);
      const decode = (bytes: Uint8Array) => decodeTwoPhaseDirectory(bytes, major);
      fc.assert(fc.property(fc.array(fc.bigInt(0n, 0xffff_ffffn)), roundTrip(encode, decode)));
    }
  });

  it('refuse truncation at every byte, trailing bytes and counts that do not fit', () => {
    const bytes = encodeDbDirectory([{ spcNode: 1663, dbNode: 5, hasRelationMap: true }]);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeDbDirectory(bytes.subarray(0, length))).toThrow(INVALID);
    }
    expect(() => decodeDbDirectory(Uint8Array.of(...bytes, 0))).toThrow(INVALID);
    const huge = hexToBytes('ffffffffffffffff0000067f') ?? new Uint8Array();
    expect(() => decodeSlruSegmentDirectory(huge)).toThrow(INVALID);
  });
});

describe('scalar values', () => {
  it('of sizes are little endian, of origins big endian', () => {
    expect(bytesToHex(encodeSizeValue(1))).toBe('01000000');
    expect(decodeSizeValue(encodeSizeValue(0xfffffffe))).toBe(0xfffffffe);
    expect(bytesToHex(encodeReplOriginValue(lsn(0x14aec08n)))).toBe('00000000014aec08');
    expect(decodeReplOriginValue(encodeReplOriginValue(lsn(0x14aec08n)))).toBe(0x14aec08n);
    expect([decodeReplOriginValue(new Uint8Array(8)), decodeReplOriginValue(new Uint8Array(0))]).toEqual([
      undefined,
      undefined,
    ]);
    expect(() => decodeSizeValue(new Uint8Array(5))).toThrow(INVALID);
    expect(() => decodeReplOriginValue(new Uint8Array(7))).toThrow(INVALID);
  });
});

describe('aux file values', () => {
  it('encode as in Neon and come back', () => {
    const file = { path: 'pg_replslot/slot1/state', content: new TextEncoder().encode('abc') };
    const bytes = encodeAuxFiles([file]);
    expect(bytesToHex(bytes)).toBe('010000001770675f7265706c736c6f742f736c6f74312f737461746500000003616263');
    expect(decodeAuxFiles(bytes)).toEqual([file]);
    expect([encodeAuxFiles([]).length, decodeAuxFiles(new Uint8Array(0))]).toEqual([0, []]);
  });

  it('refuse truncation at every byte and another version', () => {
    const bytes = encodeAuxFiles([{ path: 'a', content: Uint8Array.of(1, 2) }]);
    for (let length = 2; length < bytes.length; length += 1) {
      expect(() => decodeAuxFiles(bytes.subarray(0, length))).toThrow(INVALID);
    }
    expect(() => decodeAuxFiles(Uint8Array.of(2, ...bytes.subarray(1)))).toThrow(INVALID);
  });
});

function roundTrip<T>(
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => T,
): (value: T) => void {
  return (value) => {
    expect(decode(encode(value))).toEqual(value);
  };
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesToHex } from './bytes.ts';
import { decodeValue, decodeValueView, encodeValue, type Value, willInit } from './value.ts';
import type { NeonWalRecord } from './wal-record.ts';

const FOOBAR = new TextEncoder().encode('foobar');
const recordOf = (record: NeonWalRecord): Value => ({ kind: 'record', record });

/** Values and their bytes as Neon encodes them. */
const VECTORS: readonly (readonly [string, Value, string, boolean])[] = [
  ['an image', { kind: 'image', image: FOOBAR }, '00000000 0000000000000006 666F6F626172', true],
  [
    'a record that needs no older state',
    recordOf({ kind: 'postgres', willInit: true, record: FOOBAR }),
    '00000001 00000000 01 0000000000000006 666F6F626172',
    true,
  ],
  [
    'cleared visibility map flags',
    recordOf({
      kind: 'clear-visibility-map-flags',
      newHeapBlock: 0x11,
      oldHeapBlock: undefined,
      flags: 3,
    }),
    '00000001 00000001 01 00000011 00 03',
    false,
  ],
  [
    'committed transactions',
    recordOf({ kind: 'clog-set-committed', xids: [725, 726], timestamp: 0x0002a1b2c3d4e5f6n }),
    '00000001 00000002 0000000000000002 000002D5 000002D6 0002A1B2C3D4E5F6',
    false,
  ],
  [
    'aborted transactions',
    recordOf({ kind: 'clog-set-aborted', xids: [730] }),
    '00000001 00000003 0000000000000001 000002DA',
    false,
  ],
  [
    'a multixact offset',
    recordOf({ kind: 'multixact-offset-create', mid: 9, moff: 17 }),
    '00000001 00000004 00000009 00000011',
    false,
  ],
  [
    'multixact members',
    recordOf({
      kind: 'multixact-members-create',
      moff: 17,
      members: [
        { xid: 725, status: 0 },
        { xid: 726, status: 5 },
      ],
    }),
    '00000001 00000005 00000011 0000000000000002 000002D5 00000000 000002D6 00000005',
    false,
  ],
  [
    'a truncated visibility map',
    recordOf({ kind: 'truncate-visibility-map', byte: 100n, bitOffset: 2n }),
    '00000001 00000007 0000000000000064 0000000000000002',
    false,
  ],
  [
    'an aux file',
    recordOf({ kind: 'aux-file', path: 'a', content: FOOBAR }),
    '00000001 00000006 0000000000000001 61 01 0000000000000006 666F6F626172',
    false,
  ],
];

describe('values of delta layers', () => {
  it.each(VECTORS)('encode %s as Neon does', (_, value, hex, init) => {
    const bytes = encodeValue(value);
    expect(bytesToHex(bytes).toUpperCase()).toBe(hex.replaceAll(' ', ''));
    expect(decodeValue(bytes)).toEqual(value);
    expect(decodeValueView(bytes)).toEqual(value);
    expect(willInit(value)).toBe(init);
  });

  it.each(VECTORS)('refuse %s cut off at any byte, or with a byte behind', (_, value) => {
    const bytes = encodeValue(value);
    const invalid = expect.objectContaining({ code: 'NEON_LAYER_INVALID_VALUE' });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeValue(bytes.subarray(0, length))).toThrow(invalid);
      expect(() => decodeValueView(bytes.subarray(0, length))).toThrow(invalid);
    }
    expect(() => decodeValue(Uint8Array.of(...bytes, 0))).toThrow(invalid);
    expect(() => decodeValueView(Uint8Array.of(...bytes, 0))).toThrow(invalid);
  });

  it('of any bytes decode, or are refused with a code', () => {
    fc.assert(
      fc.property(fc.nat(1), fc.nat(9), fc.uint8Array({ maxLength: 40 }), (kind, record, rest) => {
        const bytes = Uint8Array.of(0, 0, 0, kind, 0, 0, 0, record, ...rest);
        try {
          expect(encodeValue(decodeValue(bytes))).toEqual(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'NEON_LAYER_INVALID_VALUE' });
        }
      }),
    );
  });
});

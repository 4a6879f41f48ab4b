import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsn } from './lsn.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import { decodeWalRecord } from './wal-record.ts';
import { decodeXLogRecordHeader, encodeWalRecord, walRecordCrc } from './wal-record-header.ts';

const HEADER = { xid: 7, previous: lsn(0x28n), info: 0, resourceManager: 10 };
const NODE = [...u32(1663), ...u32(5), ...u32(1259)];

describe('WAL record', () => {
  it('with a page image, data and a second block of the same relation is taken apart', () => {
    const image = new Array<number>(100).fill(9);
    const content = [
      ...[0, 0x70, ...u16(3), ...u16(100), ...u16(50), 0x03, ...NODE, ...u32(42)],
      ...[1, 0x81, ...u16(0), ...u32(43)],
      ...[253, ...u16(5), 252, ...u32(700), 255, 2],
      ...[...image, 1, 2, 3, 8, 9],
    ];
    const record = encodeWalRecord(HEADER, Uint8Array.from(content));
    expect(decodeWalRecord(record, 15)).toEqual({
      header: { ...HEADER, totalLength: 24 + content.length, crc: walRecordCrc(record) },
      blocks: [
        {
          id: 0,
          tag: { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 0 },
          blockNumber: 42,
          willInit: true,
          image: {
            bytes: Uint8Array.from(image),
            holeOffset: 50,
            holeLength: 8092,
            apply: true,
            compression: 'none',
          },
          data: Uint8Array.of(1, 2, 3),
        },
        {
          id: 1,
          tag: { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 1 },
          blockNumber: 43,
          willInit: false,
          data: new Uint8Array(),
        },
      ],
      mainData: Uint8Array.of(8, 9),
      origin: 5,
      topLevelXid: 700,
    });
  });

  it.each([
    [14, 0x02, 'pglz', false],
    [14, 0x04, 'none', true],
    [15, 0x02, 'none', true],
    [15, 0x04, 'pglz', false],
    [18, 0x08, 'lz4', false],
    [18, 0x12, 'zstd', true],
  ])('of major %i reads image bits 0x%s as %s, apply %s', (major, bits, compression, apply) => {
    const length = compression === 'none' ? 8192 : 10;
    const content = [0, 0x10, ...u16(0), ...u16(length), ...u16(0), bits, ...NODE, ...u32(1)];
    const record = encodeWalRecord(
      HEADER,
      Uint8Array.from([...content, ...new Array<number>(length).fill(1)]),
    );
    expect(decodeWalRecord(record, major).blocks[0]?.image).toMatchObject({
      compression,
      apply,
      holeLength: 0,
    });
  });

  it.each([
    ['unknown item id', [40]],
    ['fork that does not exist', [0, 0x04, ...u16(0), ...NODE, ...u32(1)]],
    ['data flag without data', [0, 0x20, ...u16(0), ...NODE, ...u32(1)]],
    ['data without its flag', [0, 0, ...u16(1), ...NODE, ...u32(1), 1]],
    ['first block of "the same relation"', [0, 0x80, ...u16(0), ...u32(1)]],
    ['block twice', [0, 0, ...u16(0), ...NODE, ...u32(1), 0, 0x80, ...u16(0), ...u32(2)]],
    ['hole past the page', [0, 0x10, ...u16(0), ...u16(1), ...u16(8192), 3, ...NODE, ...u32(1), 1]],
    ['image without bytes', [0, 0x10, ...u16(0), ...u16(0), ...u16(0), 2, ...NODE, ...u32(1)]],
    ['main data longer than the record', [255, 9, 1]],
    ['main data shorter than the record', [255, 1, 1, 1]],
    ['long main data past any record', [254, ...u32(0xffff_ffff), 1]],
  ])('with %s is refused', (_, content) => {
    const record = encodeWalRecord(HEADER, Uint8Array.from(content));
    expectFormatError(() => decodeWalRecord(record, 17), 'POSTGRES_INVALID');
  });

  it('is refused when cut at any byte', () => {
    const record = encodeWalRecord(
      HEADER,
      Uint8Array.from([0, 0x20, ...u16(2), ...NODE, ...u32(1), 255, 1, 1, 2, 3]),
    );
    expect(decodeWalRecord(record, 17).mainData).toEqual(Uint8Array.of(3));
    for (let size = 0; size < record.length; size++) {
      expectFormatError(
        () => decodeWalRecord(record.subarray(0, size), 17),
        'POSTGRES_TRUNCATED',
        'POSTGRES_INVALID',
      );
    }
  });

  it('of any bytes is decoded or refused, with nothing else thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (content) => {
        const record = encodeWalRecord(HEADER, content);
        try {
          decodeWalRecord(record, 16);
        } catch (error) {
          expect(error).toMatchObject({ name: 'PostgresFormatError' });
        }
      }),
    );
  });

  it('has a CRC over its content and then its header', () => {
    const record = encodeWalRecord(HEADER, Uint8Array.of(255, 1, 7));
    expect(decodeXLogRecordHeader(record).crc).toBe(walRecordCrc(record));
    for (let offset = 0; offset < record.length; offset++) {
      const changed = record.slice();
      changed[offset] = (changed[offset] ?? 0) ^ 1;
      const isCrc = offset >= 20 && offset < 24;
      expect(walRecordCrc(changed) === walRecordCrc(record)).toBe(isCrc);
    }
  });
});

function u16(value: number): number[] {
  return [value & 0xff, value >> 8];
}

function u32(value: number): number[] {
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}

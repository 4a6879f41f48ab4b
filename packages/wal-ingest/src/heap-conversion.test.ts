import { decodeWalRecord, RESOURCE_MANAGER, WalRecordDecoder, walRecordCrc } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { convertHeapRecord } from './heap-conversion.ts';
import {
  type BlockParts,
  joined,
  makeRecord,
  type RecordParts,
  text,
  u8,
  u16,
  u32,
  zeros,
} from './testing/record-builder.ts';
import { FIRST_END, TABLE } from './testing/test-timeline.ts';

const { heap, heap2 } = RESOURCE_MANAGER;
/** t_infomask2, t_infomask with HEAP_COMBOCID, t_hoff; and what becomes of it. */
const HEADER = joined(u16(3), u16(0x0822), u8(24));
const NEON_HEADER = joined(u16(3), u16(0x0802), u32(0), u8(24));
const TUPLE = text('tuple');
const CID = u32(0);

function convert(
  parts: Omit<RecordParts, 'resourceManager'> & { resourceManager?: number },
  major = 15,
): Uint8Array {
  const decoder = new WalRecordDecoder(major);
  decoder.decode(makeRecord({ resourceManager: heap, xid: 7, origin: 3, ...parts }));
  return convertHeapRecord(decoder, FIRST_END);
}

/** The converted record equals one made by hand of these parts. */
function expectParts(
  converted: Uint8Array,
  parts: Omit<RecordParts, 'resourceManager'> & { resourceManager?: number },
): void {
  expect(converted).toEqual(makeRecord({ resourceManager: heap, xid: 7, origin: 3, ...parts }));
}

function block(data?: Uint8Array, blockNumber = 4): BlockParts {
  return data === undefined ? { tag: TABLE, blockNumber } : { tag: TABLE, blockNumber, data };
}

describe('convertHeapRecord', () => {
  it.each([0x00, 0x80])('insert (info %i): the new tuple gets a command id', (info) => {
    const main = joined(u16(1), u8(0));
    const converted = convert({ info, main, blocks: [block(joined(HEADER, TUPLE))] });
    expectParts(converted, { info, main, blocks: [block(joined(NEON_HEADER, TUPLE))] });
  });

  it('delete: the command id comes before the flags', () => {
    const main = joined(u32(900), u16(5), u8(0x3f), u8(0x01));
    const converted = convert({ info: 0x10, main, blocks: [block()] });
    expectParts(converted, {
      info: 0x10,
      main: joined(u32(900), u16(5), u16(0), CID, u8(0x1f), u8(0x01)),
      blocks: [block()],
    });
  });

  it('delete with the old tuple: it gets one too', () => {
    const main = joined(u32(900), u16(5), u8(0), u8(0x02), HEADER, TUPLE);
    expectParts(convert({ info: 0x10, main, blocks: [block()] }), {
      info: 0x10,
      main: joined(u32(900), u16(5), u16(0), CID, u8(0), u8(0x02), NEON_HEADER, TUPLE),
      blocks: [block()],
    });
  });

  it('lock: like delete', () => {
    const main = joined(u32(900), u16(5), u8(0x06), u8(0x01));
    expectParts(convert({ info: 0x60, main, blocks: [block()] }), {
      info: 0x60,
      main: joined(u32(900), u16(5), u16(0), CID, u8(0x06), u8(0x01)),
      blocks: [block()],
    });
  });

  it.each([
    ['update', 0x20, 0x00, zeros(0)],
    ['HOT update', 0x40, 0x00, zeros(0)],
    ['update with a prefix', 0x20, 0x20, u16(2)],
    ['update with a suffix', 0x20, 0x40, u16(3)],
    ['HOT update with both', 0x40, 0x60, joined(u16(2), u16(3))],
  ])(
    '%s: the command id comes before the new tuple’s place, and in its header',
    (_, info, flags, lengths) => {
      const old = joined(u32(900), u16(5), u8(0x22), u8(flags));
      const cleared = joined(u32(900), u16(5), u8(0x02), u8(flags));
      const place = joined(u32(901), u16(6));
      const converted = convert({
        info,
        main: joined(old, place),
        blocks: [block(joined(lengths, HEADER, TUPLE)), block(undefined, 3)],
      });
      expectParts(converted, {
        info,
        main: joined(cleared, CID, place),
        blocks: [block(joined(lengths, NEON_HEADER, TUPLE)), block(undefined, 3)],
      });
    },
  );

  it('update with the old tuple and an image in place of the new one', () => {
    const image = { bytes: zeros(8192), info: 0x02 };
    const fixed = joined(u32(900), u16(5), u8(0), u8(0x04));
    const place = joined(u32(901), u16(6));
    const blocks = [{ ...block(), image }];
    expectParts(convert({ info: 0x20, main: joined(fixed, place, HEADER, TUPLE), blocks }), {
      info: 0x20,
      main: joined(fixed, CID, place, NEON_HEADER, TUPLE),
      blocks,
    });
  });

  it('multi-insert: every tuple gets one; tuples stay at even places', () => {
    const tuples = [text('odd'), text('even'), text('last!')];
    const stock = tuples.map((data) => joined(u16(data.length), u16(3), u16(0x0822), u8(24), data));
    const neon = tuples.map((data) =>
      joined(u16(data.length), u16(3), u16(0x0802), u16(0), CID, u8(24), data),
    );
    const even = (parts: readonly Uint8Array[]): Uint8Array =>
      joined(
        ...parts.map((part, i) =>
          i < parts.length - 1 && part.length % 2 === 1 ? joined(part, u8(0)) : part,
        ),
      );
    const main = joined(u8(0), u8(0), u16(3), u16(1), u16(2), u16(3));
    const parts = { resourceManager: heap2, info: 0x50, main };
    expectParts(convert({ ...parts, blocks: [block(even(stock))] }), {
      ...parts,
      blocks: [block(even(neon))],
    });
  });

  it('main data that grows past 255 bytes gets a long header, and the record a right length and CRC', () => {
    const fixed = joined(u32(900), u16(5), u8(0), u8(0x02));
    const main = joined(fixed, HEADER, new Uint8Array(240).fill(1));
    const converted = convert({ info: 0x10, main, blocks: [block()] });
    const { header, mainData, origin } = decodeWalRecord(converted, 15);
    expect(header).toMatchObject({ totalLength: converted.length, crc: walRecordCrc(converted), xid: 7 });
    expect([mainData.length, origin]).toEqual([main.length + 10, 3]);
  });

  it('keeps headers of images in 14 and 15, compressed ones with holes too', () => {
    const holed = { bytes: zeros(100), holeOffset: 24, holeLength: 900 };
    for (const [major, info] of [
      [14, 0x07],
      [15, 0x07],
    ] as const) {
      const parts = { info: 0x00, main: joined(u16(1), u8(0)) };
      const image = { ...holed, info };
      const converted = convert({ ...parts, blocks: [{ ...block(joined(HEADER, TUPLE)), image }] }, major);
      expectParts(converted, { ...parts, blocks: [{ ...block(joined(NEON_HEADER, TUPLE)), image }] });
    }
  });

  it('leaves the record as it was, also in a Buffer', () => {
    const record = makeRecord({
      resourceManager: heap,
      info: 0x00,
      main: joined(u16(1), u8(0)),
      blocks: [block(joined(HEADER, TUPLE))],
    });
    const decoder = new WalRecordDecoder(15);
    decoder.decode(Buffer.from(record));
    expect(convertHeapRecord(decoder, FIRST_END).length).toBe(record.length + 4);
    expect(Buffer.compare(decoder.bytes, record)).toBe(0);
  });

  it.each([
    ['insert with an image only', heap, 0x00, joined(u16(1), u8(0)), block()],
    ['confirm', heap, 0x50, u16(1), block()],
    ['inplace', heap, 0x70, u16(1), block(text('xyz'))],
    ['truncate', heap, 0x30, zeros(12), block()],
    ['lock of an updated tuple', heap2, 0x60, zeros(8), block()],
    ['visible', heap2, 0x40, zeros(5), block()],
    ['records of others', RESOURCE_MANAGER.btree, 0x00, zeros(2), block(text('x'))],
  ])('%s stays as it is', (_, resourceManager, info, main, only) => {
    const parts = { resourceManager, info, main, blocks: [only] };
    expectParts(convert(parts), parts);
  });

  it.each([
    ['an insert without block', 0x00, u16(1), []],
    ['a short tuple', 0x00, u16(1), [block(zeros(4))]],
    ['a short delete', 0x10, zeros(7), [block()]],
    [
      'a delete of Neon’s layout, which looks like one with an old tuple that is too short',
      0x10,
      zeros(12),
      [block()],
    ],
    ['a lock of Neon’s layout', 0x60, zeros(14), [block()]],
    ['a short update', 0x20, zeros(13), [block()]],
  ])('refuses %s', (_, info, main, blocks) => {
    expect(() => convert({ info, main, blocks })).toThrow(
      expect.objectContaining({ code: 'INGEST_INVALID_RECORD', operation: 'convert' }),
    );
  });

  it('refuses tuples of a multi-insert that do not fit their bytes', () => {
    const parts = { resourceManager: heap2, info: 0x50, main: joined(u16(0), u16(1), u16(1)) };
    const refusal = expect.objectContaining({ code: 'INGEST_INVALID_RECORD' });
    for (const data of [zeros(6), joined(u16(5), zeros(9)), zeros(8)]) {
      expect(() => convert({ ...parts, blocks: [block(data)] })).toThrow(refusal);
    }
  });
});

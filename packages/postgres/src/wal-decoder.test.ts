import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsn } from './lsn.ts';
import { expectFormatError, withFlippedBit } from './testing/expect-format-error.ts';
import { WalRecordDecoder } from './wal-decoder.ts';
import { decodeWalRecord, type WalRecordContent } from './wal-record.ts';
import { encodeWalRecord } from './wal-record-header.ts';

const COMPRESSIONS = ['none', 'pglz', 'lz4', 'zstd'];

/** Two blocks of one relation, the first with an image and data, then origin, top-level xid and main data. */
const RECORD = encodeWalRecord(
  { xid: 7, previous: lsn(0x28n), info: 0x80, resourceManager: 10 },
  Uint8Array.from([
    ...[0, 0x70, 3, 0, 100, 0, 50, 0, 0x03, 0x7f, 6, 0, 0, 5, 0, 0, 0, 0xeb, 4, 0, 0, 42, 0, 0, 0],
    ...[1, 0x81, 0, 0, 43, 0, 0, 0],
    ...[253, 5, 0, 252, 0xbc, 2, 0, 0, 255, 2],
    ...[...new Array<number>(100).fill(9), 1, 2, 3, 8, 9],
  ]),
);

/** What the decoder holds, in the shape that `decodeWalRecord` returns. */
function contentOf(decoder: WalRecordDecoder): Omit<WalRecordContent, 'header'> {
  const view = (offset: number, length: number) => decoder.bytes.subarray(offset, offset + length);
  const blocks = Array.from({ length: decoder.blockCount }, (_, index) => {
    const b = decoder.block(index);
    const { holeOffset, holeLength, applyImage: apply } = b;
    const compression = COMPRESSIONS[b.compression];
    const bytes = view(b.imageOffset, b.imageLength);
    return {
      id: b.id,
      tag: { spcNode: b.spcNode, dbNode: b.dbNode, relNode: b.relNode, forkNum: b.forkNum },
      blockNumber: b.blockNumber,
      willInit: b.willInit,
      data: view(b.dataOffset, b.dataLength),
      ...(b.hasImage ? { image: { bytes, holeOffset, holeLength, apply, compression } } : {}),
    };
  });
  return {
    blocks: blocks as unknown as WalRecordContent['blocks'],
    mainData: view(decoder.mainOffset, decoder.mainLength),
    ...(decoder.origin === 0 ? {} : { origin: decoder.origin }),
    ...(decoder.topLevelXid === 0 ? {} : { topLevelXid: decoder.topLevelXid }),
  };
}

function outcome(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    return error instanceof Error && 'code' in error ? 'refused' : error;
  }
}

describe('WAL record decoder', () => {
  it.each([15, 16, 17])('of major %i finds what the plain decoder finds', (major) => {
    const decoder = new WalRecordDecoder(major);
    decoder.decode(RECORD);
    const { header, ...content } = decodeWalRecord(RECORD, major);
    expect(contentOf(decoder)).toEqual(content);
    expect(decoder).toMatchObject({ xid: header.xid, info: header.info, resourceManager: 10 });
    expect(decoder.hasValidCrc()).toBe(true);
    expect(decoder.findBlock(1)?.blockNumber).toBe(43);
    expect(decoder.findBlock(2)).toBeUndefined();
    expectFormatError(() => decoder.block(2), 'POSTGRES_OUT_OF_RANGE');
  });

  it('keeps nothing of the record before', () => {
    const decoder = new WalRecordDecoder(15);
    decoder.decode(RECORD);
    const plain = encodeWalRecord(
      { xid: 1, previous: lsn(8n), info: 0, resourceManager: 0 },
      Uint8Array.of(255, 1, 6),
    );
    decoder.decode(plain);
    expect(contentOf(decoder)).toEqual({ blocks: [], mainData: Uint8Array.of(6) });
  });

  it('refuses a record cut anywhere', () => {
    const decoder = new WalRecordDecoder(15);
    for (let length = 0; length < RECORD.length; length++) {
      expectFormatError(() => decoder.decode(RECORD.slice(0, length)), 'POSTGRES_INVALID');
    }
  });

  it('judges damaged records as the plain decoder does, and sees every flipped bit by the CRC', () => {
    const flips = fc.array(fc.nat(RECORD.length * 8 - 1), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(flips, fc.constantFrom(14, 15), (bits, major) => {
        const damaged = [...new Set(bits)].reduce<Uint8Array>(withFlippedBit, RECORD);
        const decoder = new WalRecordDecoder(major);
        const ours = outcome(() => {
          decoder.decode(damaged);
          return contentOf(decoder);
        });
        const plain = outcome(() => {
          const { header: _, ...content } = decodeWalRecord(damaged, major);
          const { origin, topLevelXid, ...rest } = content;
          return { ...rest, ...(origin ? { origin } : {}), ...(topLevelXid ? { topLevelXid } : {}) };
        });
        expect(ours).toEqual(plain);
        if (ours !== 'refused' && bits.some((bit) => bit >> 3 !== 18 && bit >> 3 !== 19)) {
          expect(decoder.hasValidCrc()).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });
});

import { formatLsn, type Lsn, lsn, parseLsn, WAL_PAGE_SIZE } from '@neon-snapshot/postgres';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MADE_MAJOR, MADE_SEGMENT_SIZE, MADE_SYSTEM_IDENTIFIER, MadeWal } from '../testing/made-wal.ts';
import { HAS_SAMPLES, SAMPLES_NOTE, sampleWal } from '../testing/sample-wal.ts';
import { isTimelineError } from '../timeline-error.ts';
import { type StreamedWalRecord, WalStreamDecoder } from './wal-stream-decoder.ts';

const MADE = {
  major: MADE_MAJOR,
  segmentSize: MADE_SEGMENT_SIZE,
  systemIdentifier: MADE_SYSTEM_IDENTIFIER,
};

describe.runIf(HAS_SAMPLES)(`a decoder of real WAL${SAMPLES_NOTE}`, () => {
  it.each(['pg16', 'pg17'])(
    'gives the records of a reading of %s, however it is cut',
    { timeout: 60_000 },
    (name) => {
      const stream = sampleWal(name);
      expect(stream.records.length).toBeGreaterThan(70_000);
      for (const [seed, sizeMax] of [
        [1, 9],
        [2, 300],
        [3, 20_000],
        [4, 131_072],
      ] as const) {
        // Small pieces are slow: a part of the stream is enough for them.
        const bytes = sizeMax < 1000 ? stream.bytes.subarray(0, 2 * 1024 * 1024) : stream.bytes;
        const decoder = new WalStreamDecoder({ ...stream });
        const records = decodeAll(decoder, pieces(bytes, { seed, sizeMax }));
        const expected = stream.records.filter(({ end }) => end <= stream.start + BigInt(bytes.length));
        expect(records.length).toBe(expected.length);
        const wrong = records.findIndex((record, index) => !isSame(record, expected[index]));
        expect(wrong).toBe(-1);
      }
    },
  );

  it('starts at any record, with or without the link to the one before', () => {
    const stream = sampleWal('pg17');
    for (let index = 1; index < stream.records.length; index += 997) {
      const [before, first] = [stream.records[index - 1], stream.records[index]];
      if (before === undefined || first === undefined) throw new Error('no such record');
      for (const previousRecord of [undefined, before.start]) {
        // A record's end is where the next one may be asked for: also where a page header comes first.
        const decoder = new WalStreamDecoder({ ...stream, start: before.end, previousRecord });
        decoder.push(stream.bytes.subarray(Number(before.end - stream.start)));
        expect(isSame(decoder.next(), first)).toBe(true);
        expect(decoder.previousRecord).toBe(first.start);
        expect(decoder.recordEnd).toBe(first.end);
      }
    }
  });
});

describe('a decoder', () => {
  it('gives a record as soon as it is whole, and says where it is', () => {
    const wal = new MadeWal(parseLsn('0/5000028'));
    const record = wal.append(61);
    const decoder = new WalStreamDecoder({ ...MADE, start: wal.start });
    for (const byte of wal.bytes) {
      expect(decoder.next()).toBeUndefined();
      expect(decoder.recordEnd).toBe(wal.start);
      decoder.push(Uint8Array.of(byte));
    }
    expect(decoder.position).toBe(record.end);
    expect(decoder.next()).toEqual(record);
    expect(decoder.recordEnd).toBe(record.end);
    expect(decoder.lastCrc).toBe(Buffer.from(record.bytes).readUInt32LE(20));
    expect(decoder.next()).toBeUndefined();
  });

  it('gives records of all sizes at all places of a page', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: WAL_PAGE_SIZE / 8 }),
        fc.array(fc.oneof(fc.integer({ min: 24, max: 300 }), fc.integer({ min: 24, max: 30_000 })), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.integer({ min: 1, max: 40_000 }),
        (eighths, sizes, pieceSize) => {
          const wal = new MadeWal(lsn(0x1_0000_0000n + BigInt(8 * eighths)), lsn(0xffff_ff00n));
          for (const size of sizes) wal.append(size);
          const decoder = new WalStreamDecoder({
            ...MADE,
            start: wal.start,
            previousRecord: lsn(0xffff_ff00n),
          });
          const records = decodeAll(decoder, pieces(wal.bytes, { seed: pieceSize, sizeMax: pieceSize }));
          expect(records).toEqual(wal.records);
          expect(decoder.recordEnd).toBe(decoder.position);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('goes on in the next segment after a switch, when the rest of the segment has come', () => {
    const wal = new MadeWal(parseLsn('0/50FC028'));
    wal.append();
    const { end } = wal.appendSwitch();
    const size = wal.bytes.length;
    wal.append();
    expect(formatLsn(end)).toBe('0/5100000');
    const decoder = new WalStreamDecoder({ ...MADE, start: wal.start });
    decoder.push(wal.bytes.subarray(0, size - 1));
    expect(decodeAll(decoder, [])).toEqual(wal.records.slice(0, 1));
    expect(decodeAll(decoder, [wal.bytes.subarray(size - 1)])).toEqual(wal.records.slice(1));
  });

  it('leaves out a record that the server gave up when it crashed', () => {
    const wal = new MadeWal(parseLsn('0/5000028'));
    wal.append(7000);
    wal.giveUp();
    wal.append(100);
    wal.append(100);
    for (const sizeMax of [1, 50, 20_000]) {
      const decoder = new WalStreamDecoder({ ...MADE, start: wal.start });
      expect(decodeAll(decoder, pieces(wal.bytes, { seed: 1, sizeMax }))).toEqual(wal.records);
    }
  });

  it('does not wait for the rest of what is no record', () => {
    const wal = new MadeWal(parseLsn('0/5000028'));
    wal.append(20_000);
    const bytes = wal.bytes;
    bytes[15] = 0xff;
    const decoder = new WalStreamDecoder({ ...MADE, start: wal.start });
    decoder.push(bytes.subarray(0, 24));
    expect(() => decoder.next()).toThrow('links back to FF000000/0; expected less than 0/5000028');
  });

  it('refuses every damaged byte of headers and records, for ever', () => {
    const wal = new MadeWal(parseLsn('0/50FE000'), parseLsn('0/50FD000'));
    while (wal.end < parseLsn('0/5102100')) wal.append(331);
    const bytes = wal.bytes;
    const outcomes = new Map<string, number>();
    // The padding behind records is nobody's.
    const padding = new Set(
      wal.records.flatMap(({ end }) => [1, 2, 3, 4, 5].map((back) => Number(end - wal.start) - back)),
    );
    for (let at = 0; at < bytes.length; at++) {
      // Not looked at: TimeLineID, the header's own padding, and on the first page what continues a record there.
      const inPage = at % WAL_PAGE_SIZE;
      if (at >= 16 && at < 20) continue;
      if (padding.has(at) || (inPage >= 4 && inPage < 8) || (inPage >= 20 && inPage < 24)) continue;
      const damaged = Uint8Array.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 0x40;
      const outcome = outcomeOf(damaged, wal);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // Two bits of its length make the last record a longer one, which would be whole with more bytes.
    expect(Object.fromEntries(outcomes)).toEqual({
      TIMELINE_WAL_CORRUPT: expect.any(Number),
      TIMELINE_WAL_FOREIGN: 8,
      waits: 2,
    });
  });

  it('tells a record that another one was put before', () => {
    const wal = new MadeWal(parseLsn('0/5000028'), parseLsn('0/4FFFF00'));
    wal.append();
    const decoder = new WalStreamDecoder({
      ...MADE,
      start: wal.start,
      previousRecord: parseLsn('0/4FFFE00'),
    });
    decoder.push(wal.bytes);
    expect(() => decoder.next()).toThrow('links back to 0/4FFFF00; expected 0/4FFFE00');
  });

  it.each([
    [{ start: parseLsn('0/5000029') }, 'TIMELINE_INVALID_ARGUMENT'],
    [{ start: parseLsn('FFFFFFFF/0') }, 'TIMELINE_INVALID_ARGUMENT'],
    [{ start: parseLsn('0/5000028'), segmentSize: 12345 }, 'POSTGRES_OUT_OF_RANGE'],
  ] as const)('refuses to start with %o', (options, code) => {
    expect(() => new WalStreamDecoder({ ...MADE, ...options })).toThrow(expect.objectContaining({ code }));
  });
});

/** What becomes of a damaged stream: the code of its error, after which the decoder stays where it is. */
function outcomeOf(bytes: Uint8Array, wal: MadeWal): string {
  const options = { ...MADE, start: wal.start, previousRecord: parseLsn('0/50FD000') };
  const decoder = new WalStreamDecoder(options);
  decoder.push(bytes);
  try {
    while (decoder.next() !== undefined);
    return decoder.recordEnd === decoder.position ? 'accepted' : 'waits';
  } catch (error) {
    if (!isTimelineError(error)) throw error;
    expect(() => decoder.next()).toThrow(error);
    return error.code;
  }
}

function decodeAll(decoder: WalStreamDecoder, parts: Iterable<Uint8Array>): StreamedWalRecord[] {
  const records: StreamedWalRecord[] = [];
  const drain = () => {
    for (let record = decoder.next(); record !== undefined; record = decoder.next()) records.push(record);
  };
  drain();
  for (const part of parts) {
    decoder.push(part);
    drain();
  }
  return records;
}

/** Cuts bytes into pieces of 0 to `sizeMax`, in a way that `seed` decides. */
function* pieces(
  bytes: Uint8Array,
  of: { readonly seed: number; readonly sizeMax: number },
): Generator<Uint8Array> {
  let state = of.seed;
  for (let at = 0; at < bytes.length; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const size = (state >>> 8) % (of.sizeMax + 1);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function isSame(a: StreamedWalRecord | undefined, b: StreamedWalRecord | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.start === (b.start as Lsn) &&
    a.end === b.end &&
    Buffer.compare(a.bytes, b.bytes) === 0
  );
}

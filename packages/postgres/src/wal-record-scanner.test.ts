import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';
import { type Lsn, parseLsn } from './lsn.ts';
import { FIXTURES, type Fixture } from './testing/fixtures.ts';
import { type ReadWalRecordsOptions, readWalRecords } from './wal-reader.ts';
import { walRecordCrcAt } from './wal-record-crc.ts';
import { WalRecordScanner } from './wal-record-scanner.ts';
import { parseWalSegmentFileName, walSegmentNumber } from './wal-segment-name.ts';

describe.each(FIXTURES)('a scan of WAL of major $major', (fixture) => {
  it('gives the records of a reading, and the same end', () => {
    const options = optionsOf(fixture);
    expect(scan(options)).toEqual(read(options));
  });

  it('stops before the asked-for end', () => {
    const options = { ...optionsOf(fixture), end: parseLsn(fixture.wal.end) };
    expect(scan(options)).toEqual(read(options));
  });

  it('ends, or fails, where a reading does when any of 60 bytes is damaged', () => {
    const whole = scan(optionsOf(fixture)).records;
    for (let index = 0; index < 60; index++) {
      const options = optionsOf(fixture, (index * 57_919) % (64 * 1024));
      expect(outcome(() => scan(options))).toEqual(outcome(() => read(options)));
    }
    expect(whole.length).toBeGreaterThan(50);
  });

  it('leaves damage to the threads in whose share of the CRCs it is, one of which sees it', () => {
    const options = optionsOf(fixture, 8192 * 3 + 4000);
    const expected = outcome(() => read(options));
    const shares = [0, 1, 2].map((index) =>
      outcome(() => scan({ ...options, crcShare: { index, count: 3 } })),
    );
    expect(shares).toContainEqual(expected);
  });
});

it('the CRC of a record of any length is that of its content and then its header', () => {
  const bytes = Uint8Array.from({ length: 700 }, (_, index) => (index * 197) >>> 3);
  for (let length = 24; length < 690; length++) {
    const record = bytes.subarray(3, 3 + length);
    expect(walRecordCrcAt(new DataView(bytes.buffer), 3, length)).toBe(
      crc32c(record.subarray(0, 20), crc32c(record.subarray(24))),
    );
  }
});

interface Scanned {
  readonly records: readonly {
    readonly start: Lsn | bigint;
    readonly end: bigint;
    readonly crc: number;
    readonly length: number;
  }[];
  readonly end: unknown;
}

function read(options: ReadWalRecordsOptions): Scanned {
  const records = [];
  const reading = readWalRecords(options);
  for (;;) {
    const { done, value } = reading.next();
    if (done === true) return { records, end: value };
    records.push({
      start: value.start,
      end: value.end,
      crc: crc32c(value.bytes),
      length: value.bytes.length,
    });
  }
}

function scan(options: ConstructorParameters<typeof WalRecordScanner>[0]): Scanned {
  const records = [];
  const scanner = new WalRecordScanner(options);
  while (scanner.next()) {
    const { bytes, offset, length } = scanner;
    const crc = crc32c(bytes.subarray(offset, offset + length));
    records.push({ start: BigInt(scanner.start), end: BigInt(scanner.end), crc, length });
  }
  return { records, end: scanner.walEnd };
}

function outcome(action: () => Scanned): unknown {
  try {
    return action();
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
}

const SEGMENT_SIZE = 1024 * 1024;

/** The fixture's WAL, with a byte of its first segment damaged where an offset is given. */
function optionsOf(fixture: Fixture, damagedOffset?: number): ReadWalRecordsOptions {
  const segments = new Map<number, Uint8Array>();
  for (const { fileName, bytes } of fixture.wal.segments) {
    const name = parseWalSegmentFileName(fileName, SEGMENT_SIZE) ?? expect.fail(fileName);
    segments.set(name.segno, bytes);
  }
  const start = parseLsn(fixture.wal.start);
  const first = segments.get(walSegmentNumber(start, SEGMENT_SIZE))?.slice() ?? expect.fail('no segment');
  if (damagedOffset !== undefined) first[damagedOffset] = (first[damagedOffset] ?? 0) ^ 0x10;
  segments.set(walSegmentNumber(start, SEGMENT_SIZE), first);
  return { major: fixture.major, segmentSize: SEGMENT_SIZE, start, segment: (segno) => segments.get(segno) };
}

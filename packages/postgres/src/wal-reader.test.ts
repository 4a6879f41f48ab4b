import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';
import { formatLsn, type Lsn, lsn, parseLsn } from './lsn.ts';
import { isPostgresFormatError } from './postgres-format-error.ts';
import { expectFormatError, withFlippedBit } from './testing/expect-format-error.ts';
import { FIXTURES, type Fixture, fixtureOf } from './testing/fixtures.ts';
import { WAL_PAGE_SIZE } from './wal-page.ts';
import { readWalRecords, type WalEnd } from './wal-reader.ts';
import { decodeWalRecord } from './wal-record.ts';
import type { WalRecord } from './wal-record-cursor.ts';
import { resourceManagerName } from './wal-resource-manager.ts';
import { parseWalSegmentFileName } from './wal-segment-name.ts';

const SEGMENT_SIZE = 1024 * 1024;

describe.each(FIXTURES)('WAL of major $major', (fixture) => {
  const start = parseLsn(fixture.wal.start);
  const end = parseLsn(fixture.wal.end);

  it('has records that follow each other from start to end', () => {
    const { records, end: stopped } = readAll(fixture, { start, end });
    expect(stopped).toMatchObject({ lsn: end, reason: 'reached' });
    expect(records.length).toBeGreaterThan(50);
    expect(records.some((record) => record.bytes.length > 1_300_000)).toBe(true);
    expect(records.every((record) => record.timeLineId === 1)).toBe(true);
  });

  it('goes on to the next segment after a switch, where it ends without one', () => {
    const { records, end: stopped } = readAll(fixture, { start });
    const last = records.at(-1);
    expect(stopped.reason).toBe('no-segment');
    expect(stopped.lsn).toBe(last?.end);
    expect(Number(stopped.lsn % BigInt(SEGMENT_SIZE))).toBe(0);
    expect(last?.bytes).toHaveLength(24);
  });

  it('can be read from a page start, without the rest of the record before', () => {
    const whole = readAll(fixture, { start, end }).records;
    const pageStart = lsn(start - (start % BigInt(WAL_PAGE_SIZE)) + BigInt(WAL_PAGE_SIZE));
    const { records } = readAll(fixture, { start: pageStart, end });
    expect(records).toEqual(whole.filter((record) => record.start >= pageStart));
    expect(records.length).toBeGreaterThan(10);
  });
});

describe.each(FIXTURES.filter(({ wal }) => wal.records !== undefined))('WAL of major $major', (fixture) => {
  it('has the records that pg_walinspect lists', () => {
    const start = parseLsn(fixture.wal.start);
    const end = parseLsn(fixture.wal.end);
    const { records } = readAll(fixture, { start, end });
    expect(records.map((record) => describeRecord(record, fixture.major))).toEqual(fixture.wal.records);
  });
});

describe('WAL that is not whole', () => {
  const fixture = fixtureOf(17);
  const start = parseLsn(fixture.wal.start);
  const [first = new Uint8Array(), second = new Uint8Array()] = fixture.wal.segments.map(
    ({ bytes }) => bytes,
  );
  const { records } = readAll(fixture, { start });
  const middle = records[20] ?? expect.fail('no record');
  const offsetOf = (position: Lsn) => Number(position % BigInt(SEGMENT_SIZE));

  it('ends where a segment is cut', () => {
    for (let size = 0; size < 60 * 1024; size += size < 100 ? 1 : 101) {
      const result = readAll(fixture, { start }, [first.subarray(0, size)]);
      expect(result.end.reason).toBe('no-segment');
      expect(result.records.map(({ start: at }) => at)).toEqual(
        records.slice(0, result.records.length).map(({ start: at }) => at),
      );
      expect(
        result.end.lsn <= start - (start % BigInt(SEGMENT_SIZE)) + BigInt(size) ||
          result.records.length === 0,
      ).toBe(true);
    }
  });

  it('ends at zeros', () => {
    const zeroed = first.slice().fill(0, offsetOf(middle.start));
    const result = readAll(fixture, { start }, [zeroed]);
    expect(result.end).toMatchObject({ lsn: middle.start, reason: 'zeros' });
    expect(result.records).toEqual(records.slice(0, 20));
  });

  it('ends at a page that a recycled segment left behind', () => {
    const stale = second.slice();
    for (let page = 0; page < stale.length; page += WAL_PAGE_SIZE) stale[page + 10] = 1;
    const inSecond = records.find(
      (record) => record.start < parseLsn('0/A00000') && record.end > parseLsn('0/A00000'),
    );
    const result = readAll(fixture, { start }, [first, stale]);
    expect(result.end).toMatchObject({ lsn: inSecond?.start, reason: 'stale-page' });
  });

  it('ends at a torn last record', () => {
    const cut = first.slice().fill(0, offsetOf(middle.end));
    cut.fill(0xee, offsetOf(middle.end) - 8, offsetOf(middle.end));
    const torn = readAll(fixture, { start }, [cut]);
    expect(torn.end).toMatchObject({ lsn: middle.start, reason: 'bad-crc' });
  });

  it('is corrupt where newer records follow a bad one, on the same page or on a later one', () => {
    const contentBit = (offsetOf(middle.start) + 24) * 8;
    const lengthBit = offsetOf(middle.start) * 8 + 12;
    for (const bit of [contentBit, lengthBit]) {
      const damaged = withFlippedBit(first, bit);
      expectFormatError(() => readAll(fixture, { start }, [damaged, second]), 'POSTGRES_WAL_CORRUPT');
    }
    const secondPage = withFlippedBit(first, (WAL_PAGE_SIZE + 9) * 8);
    expectFormatError(() => readAll(fixture, { start }, [secondPage, second]), 'POSTGRES_WAL_CORRUPT');
  });

  it('is incomplete where it ends before the position that was asked for', () => {
    const zeroed = first.slice().fill(0, offsetOf(middle.start));
    expectFormatError(
      () => readAll(fixture, { start, end: middle.end }, [zeroed]),
      'POSTGRES_WAL_INCOMPLETE',
    );
    expect(readAll(fixture, { start, end: middle.start }, [zeroed]).end.reason).toBe('reached');
  });

  it('never yields a record that was not written, whatever bit is flipped', () => {
    const written = new Set(records.map(({ bytes }) => crc32c(bytes)));
    fc.assert(
      fc.property(fc.nat(64 * 1024 * 8 - 1), (bit) => {
        const yielded: WalRecord[] = [];
        try {
          for (const record of open(fixture, { start }, [withFlippedBit(first, bit)])) yielded.push(record);
        } catch (error) {
          expect(isPostgresFormatError(error, 'POSTGRES_WAL_CORRUPT')).toBe(true);
        }
        expect(yielded.every(({ bytes }) => written.has(crc32c(bytes)))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('of another cluster, segment size or major has no record', () => {
    const options = { start, segmentSize: SEGMENT_SIZE, major: 17, segment: () => first };
    const foreign = { ...options, systemIdentifier: 1n, start: lsn(start - (start % BigInt(SEGMENT_SIZE))) };
    expectFormatError(() => drain(readWalRecords(foreign)), 'POSTGRES_INVALID');
    expect(drain(readWalRecords({ ...options, major: 16 })).end.reason).toBe('invalid-page');
    expectFormatError(
      () => drain(readWalRecords({ ...options, start: lsn(start + 4n) })),
      'POSTGRES_OUT_OF_RANGE',
    );
  });
});

function open(
  fixture: Fixture,
  range: { readonly start: Lsn; readonly end?: Lsn },
  segments: readonly Uint8Array[] = fixture.wal.segments.map(({ bytes }) => bytes),
) {
  const name = fixture.wal.segments[0]?.fileName ?? '';
  const firstSegno = parseWalSegmentFileName(name, SEGMENT_SIZE)?.segno ?? 0;
  return readWalRecords({
    ...range,
    major: fixture.major,
    segmentSize: SEGMENT_SIZE,
    segment: (segno) => segments[segno - firstSegno],
  });
}

function readAll(...args: Parameters<typeof open>): { records: WalRecord[]; end: WalEnd } {
  return drain(open(...args));
}

function drain(reader: ReturnType<typeof readWalRecords>): { records: WalRecord[]; end: WalEnd } {
  const records: WalRecord[] = [];
  for (;;) {
    const { done, value } = reader.next();
    if (done === true) return { records, end: value };
    records.push(value);
  }
}

function describeRecord(record: WalRecord, major: number) {
  const { header, blocks, mainData } = decodeWalRecord(record.bytes, major);
  return {
    start_lsn: formatLsn(record.start),
    end_lsn: formatLsn(record.end),
    prev_lsn: formatLsn(header.previous),
    xid: String(header.xid),
    resource_manager: resourceManagerName(header.resourceManager),
    record_length: record.bytes.length,
    main_data_length: mainData.length,
    fpi_length: blocks.reduce((sum, { image }) => sum + (image?.bytes.length ?? 0), 0),
  };
}

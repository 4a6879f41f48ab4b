import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CLUSTER_STATE, decodeControlFile, encodeControlFile } from './control-file.ts';
import { formatLsn, type Lsn, lsn, parseLsn } from './lsn.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import { FIXTURES, fixtureOf } from './testing/fixtures.ts';
import { ScratchServer } from './testing/scratch-server.ts';
import { readCheckpointRecord } from './wal-checkpoint-record.ts';
import { buildShutdownCheckpointSegment, shutDownControlFile } from './wal-checkpoint-segment.ts';
import { decodeWalPageHeader } from './wal-page.ts';
import { readWalRecords } from './wal-reader.ts';
import { decodeXLogRecordHeader } from './wal-record-header.ts';
import { walSegmentNumber, walSegmentStart } from './wal-segment-name.ts';

const MIB = 1024 * 1024;

/** Where WAL ended, where the record starts and ends, and how many segments of 1 MiB that takes. */
const POSITIONS = [
  ['a segment start', '0/5000000', '0/5000028', '0/50000A0', 1],
  ['the end of a page header', '0/5000028', '0/5000028', '0/50000A0', 1],
  ['the inside of a page header', '0/5000008', '0/5000028', '0/50000A0', 1],
  ['the first page', '0/5000101', '0/5000108', '0/5000180', 1],
  ['a page start', '0/5102000', '0/5102018', '0/5102090', 1],
  ['a later page', '0/5103FF8', '0/5103FF8', '0/5104088', 1],
  ['a record that crosses a page', '0/5203FC0', '0/5203FC0', '0/5204050', 1],
  ['a record that ends with its page', '0/5205F88', '0/5205F88', '0/5206000', 1],
  ['a record of the first page that crosses it', '0/5301FC8', '0/5301FC8', '0/5302058', 1],
  ['a record that crosses a segment', '0/53FFFC0', '0/53FFFC0', '0/5400060', 2],
  ['a record that ends with its segment', '0/54FFF88', '0/54FFF88', '0/5500000', 1],
  ['a position past 4 GiB', '10/0', '10/28', '10/A0', 1],
] as const;

describe.each(FIXTURES)('shutdown checkpoint of major $major', ({ major, controlFile }) => {
  const control = decodeControlFile(controlFile);
  const base = { major, systemIdentifier: control.systemIdentifier, timeLineId: 3, segmentSize: MIB };

  it.each(POSITIONS)('at %s is read back by its position', (_, position, start, end, count) => {
    const built = buildShutdownCheckpointSegment({
      ...base,
      lsn: parseLsn(position),
      checkPoint: control.checkPointCopy,
    });
    expect([formatLsn(built.recordStart), formatLsn(built.recordEnd)]).toEqual([start, end]);
    expect(built.segments).toHaveLength(count);
    const [first, second] = built.segments;
    const read = readCheckpointRecord({
      major,
      segment: first?.bytes ?? new Uint8Array(),
      ...(second === undefined ? {} : { nextSegment: second.bytes }),
      segmentStart: walSegmentStart(walSegmentNumber(built.recordStart, MIB), MIB),
      lsn: built.recordStart,
    });
    expect(read).toEqual({
      checkPoint: { ...control.checkPointCopy, redo: built.recordStart, thisTimeLineId: 3 },
      isShutdown: true,
      recordStart: built.recordStart,
      recordEnd: built.recordEnd,
    });
    expect(read.checkPoint).toEqual(built.checkPoint);
  });

  const isAvailable = process.env.CI === 'true' || ScratchServer.isAvailable(major);
  describe.runIf(isAvailable)('and the embedded Postgres (skipped where it is not installed)', () => {
    it('start without recovery wherever it lies, and go on writing', { timeout: 60_000 }, async () => {
      const server = await ScratchServer.create(major);
      try {
        for (const [index, [, position]] of POSITIONS.filter(
          ([name]) => !name.endsWith('header'),
        ).entries()) {
          // 4 GiB apart: what the server writes in one turn must not reach the next.
          const found = await putCheckpoint(server, lsn(parseLsn(position) + (BigInt(index) << 32n)));
          const output = await server.single(`CREATE TABLE IF NOT EXISTS item AS SELECT 1 AS id`);
          expect(output).not.toMatch(/PANIC|FATAL|ERROR|WARNING|recovery|redo starts|not properly/);
          const after = decodeControlFile(await readFile(join(server.dataDirectory, 'global/pg_control')));
          expect(after.state).toBe(CLUSTER_STATE.shutDown);
          expect(after.checkPoint >= found.recordEnd).toBe(true);
          expect(after.checkPointCopy.nextXid >= found.checkPoint.nextXid).toBe(true);
        }
      } finally {
        await server.remove();
      }
    });
  });
});

describe('shutdown checkpoint', () => {
  const control = decodeControlFile(fixtureOf(15).controlFile);
  const options = {
    major: 15,
    systemIdentifier: 7306539954587820903n,
    timeLineId: 1,
    lsn: parseLsn('0/14AEC08'),
    checkPoint: control.checkPointCopy,
    segmentSize: 16 * MIB,
  };

  it('has the page headers that a Neon page server writes for the same position', () => {
    const [segment] = buildShutdownCheckpointSegment(options).segments;
    const bytes = Buffer.from(segment?.bytes ?? []);
    expect(segment?.fileName).toBe('000000010000000000000001');
    expect(bytes.subarray(0, 40).toString('hex')).toBe(
      '10d1020001000000000000010000000000000000000000 0067e36782600b66650000000100200000'.replaceAll(' ', ''),
    );
    expect(bytes.subarray(0x4ae000, 0x4ae000 + 24).toString('hex')).toBe(
      '10d101000100000000e04a0100000000f00b000000000000',
    );
  });

  it('links to the record before it where that is known', () => {
    const previousRecord = parseLsn('0/14AEB90');
    const [segment] = buildShutdownCheckpointSegment({ ...options, previousRecord }).segments;
    const [record, ...others] = readWalRecords({
      major: 15,
      segmentSize: options.segmentSize,
      segment: (segno) => (segno === 1 ? segment?.bytes : undefined),
      start: options.lsn,
    });
    expect(others).toEqual([]);
    expect(decodeXLogRecordHeader(record?.bytes ?? new Uint8Array()).previous).toBe(previousRecord);
  });

  it('on the first page marks what comes before it as the end of a record', () => {
    const [segment] = buildShutdownCheckpointSegment({ ...options, lsn: parseLsn('0/1000101') }).segments;
    expect(decodeWalPageHeader(segment?.bytes ?? new Uint8Array())).toMatchObject({
      flags: 3,
      remainingLength: 0x108 - 40,
    });
  });

  it('makes a pg_control of a cluster that needs no recovery', () => {
    const built = buildShutdownCheckpointSegment(options);
    const recovering = {
      ...control,
      state: 5,
      minRecoveryPoint: lsn(1n),
      backupStartPoint: lsn(2n),
      backupEndRequired: true,
    };
    expect(shutDownControlFile(recovering, built)).toEqual({
      ...control,
      state: CLUSTER_STATE.shutDown,
      checkPoint: built.recordStart,
      checkPointCopy: built.checkPoint,
    });
  });

  it('is not read with any one bit of it flipped', () => {
    const [segment] = buildShutdownCheckpointSegment({ ...options, segmentSize: MIB }).segments;
    const bytes = segment?.bytes ?? new Uint8Array();
    const read = (changed: Uint8Array) =>
      readCheckpointRecord({
        major: 15,
        segment: changed,
        segmentStart: parseLsn('0/1400000'),
        lsn: parseLsn('0/14AEC08'),
      });
    expect(read(bytes).isShutdown).toBe(true);
    for (let bit = 0; bit < 114 * 8; bit++) {
      const offset = 0xaec08 + (bit >> 3);
      const original = bytes[offset] ?? 0;
      bytes[offset] = original ^ (1 << (bit & 7));
      expectFormatError(() => read(bytes), 'POSTGRES_INVALID');
      bytes[offset] = original;
    }
  });

  it('is not read from a cut segment, another place, or another major', () => {
    const [segment] = buildShutdownCheckpointSegment({ ...options, segmentSize: MIB }).segments;
    const bytes = segment?.bytes ?? new Uint8Array();
    const place = {
      major: 15,
      segment: bytes,
      segmentStart: parseLsn('0/1400000'),
      lsn: parseLsn('0/14AEC08'),
    };
    expectFormatError(
      () => readCheckpointRecord({ ...place, segment: bytes.subarray(0, 100) }),
      'POSTGRES_TRUNCATED',
    );
    expectFormatError(
      () => readCheckpointRecord({ ...place, segment: new Uint8Array() }),
      'POSTGRES_TRUNCATED',
    );
    expectFormatError(
      () => readCheckpointRecord({ ...place, segment: bytes.subarray(0, MIB / 2) }),
      'POSTGRES_INVALID',
    );
    expectFormatError(
      () => readCheckpointRecord({ ...place, lsn: parseLsn('0/14AEC10') }),
      'POSTGRES_INVALID',
    );
    expectFormatError(
      () => readCheckpointRecord({ ...place, lsn: parseLsn('0/24AEC08') }),
      'POSTGRES_INVALID',
    );
    expectFormatError(
      () => readCheckpointRecord({ ...place, segmentStart: parseLsn('0/1300000') }),
      'POSTGRES_INVALID',
    );
    expectFormatError(() => readCheckpointRecord({ ...place, major: 16 }), 'POSTGRES_INVALID');
  });

  it('of impossible numbers is refused', () => {
    const build = (changes: object) => () => buildShutdownCheckpointSegment({ ...options, ...changes });
    expectFormatError(build({ segmentSize: 3 * MIB }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(build({ lsn: lsn((1n << 64n) - 1n) }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(build({ timeLineId: 2 ** 32 }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(build({ systemIdentifier: -1n }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(build({ major: 19 }), 'POSTGRES_UNSUPPORTED_VERSION');
  });
});

/** Replaces all WAL of a stopped cluster by one checkpoint at `position`. */
async function putCheckpoint(server: ScratchServer, position: Lsn) {
  const control = decodeControlFile(await readFile(join(server.dataDirectory, 'global/pg_control')));
  expect(position > control.checkPoint).toBe(true);
  const built = buildShutdownCheckpointSegment({
    major: server.major,
    systemIdentifier: control.systemIdentifier,
    timeLineId: control.checkPointCopy.thisTimeLineId,
    lsn: position,
    checkPoint: control.checkPointCopy,
    segmentSize: control.walSegmentSizeBytes,
  });
  for (const name of await readdir(join(server.dataDirectory, 'pg_wal'))) {
    if (/^[0-9A-F]{24}$/.test(name)) await rm(join(server.dataDirectory, 'pg_wal', name));
  }
  for (const { fileName, bytes } of built.segments) await server.writeFile(`pg_wal/${fileName}`, bytes);
  await server.writeFile('global/pg_control', encodeControlFile(shutDownControlFile(control, built)));
  return built;
}

/** Postgres' own programs judge what is written here. Major 15, from Debian's `postgresql-15`. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeControlFile, encodeControlFile } from './control-file.ts';
import { parseLsn } from './lsn.ts';
import { BLCKSZ } from './page.ts';
import { createPageChecksums } from './page-checksums.ts';
import { fixtureOf } from './testing/fixtures.ts';
import { buildShutdownCheckpointSegment, shutDownControlFile } from './wal-checkpoint-segment.ts';
import { readWalRecords } from './wal-reader.ts';
import { decodeXLogRecordHeader } from './wal-record-header.ts';
import { resourceManagerName } from './wal-resource-manager.ts';

const BIN = '/usr/lib/postgresql/15/bin';
const MIB = 1024 * 1024;
const PAGES = 300;
const SECOND_SEGMENT_BLOCK = 131072;
const run = promisify(execFile);
const isAvailable = process.env.CI === 'true' || existsSync(join(BIN, 'pg_waldump'));

describe.runIf(isAvailable)('Debian Postgres 15 (skipped where it is not installed)', () => {
  const fixture = fixtureOf(15);
  const control = decodeControlFile(fixture.stoppedControlFile);
  const built = buildShutdownCheckpointSegment({
    major: 15,
    systemIdentifier: control.systemIdentifier,
    timeLineId: 2,
    lsn: parseLsn('0/53FFFC0'),
    checkPoint: { ...control.checkPointCopy, nextXid: (3n << 32n) | 77n, nextOid: 4242 },
    segmentSize: MIB,
  });
  let directory = '';

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pg15-tools-'));
    await chmod(directory, 0o700);
    for (const name of ['global', 'base', 'base/5', 'pg_tblspc', 'pg_wal'])
      await mkdir(join(directory, name));
    await writeFile(join(directory, 'PG_VERSION'), '15\n');
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it('prints the fields of a written pg_control, with nothing to warn of', async () => {
    await writeFile(
      join(directory, 'global/pg_control'),
      encodeControlFile(shutDownControlFile(control, built)),
    );
    const { stdout, stderr } = await run(join(BIN, 'pg_controldata'), ['-D', directory]);
    expect(stdout + stderr).not.toMatch(/warning/i);
    expect(Object.fromEntries(stdout.split('\n').map((line) => line.split(/: +/, 2)))).toMatchObject({
      'Database system identifier': String(control.systemIdentifier),
      'Database cluster state': 'shut down',
      'Latest checkpoint location': '0/53FFFC0',
      "Latest checkpoint's REDO location": '0/53FFFC0',
      "Latest checkpoint's TimeLineID": '2',
      "Latest checkpoint's NextXID": '3:77',
      "Latest checkpoint's NextOID": '4242',
      'Bytes per WAL segment': String(MIB),
      'Data page checksum version': '1',
    });
  });

  it('dumps a written checkpoint that crosses a segment', async () => {
    for (const { fileName, bytes } of built.segments)
      await writeFile(join(directory, 'pg_wal', fileName), bytes);
    const { stdout } = await waldump(['-s', '0/53FFFC0', '-e', '0/5400060', '-t', '2']);
    expect(stdout).toMatch(
      /rmgr: XLOG .* lsn: 0\/053FFFC0, prev 0\/00000000, desc: CHECKPOINT_SHUTDOWN redo 0\/53FFFC0; tli 2;/,
    );
  });

  it('dumps the records that are read here from a real segment', async () => {
    for (const { fileName, bytes } of fixture.wal.segments)
      await writeFile(join(directory, 'pg_wal', fileName), bytes);
    const { stdout } = await waldump(['-s', fixture.wal.start, '-e', fixture.wal.end]);
    const dumped = [...stdout.matchAll(/^rmgr: (\S+) .*\/ *(\d+), tx: *(\d+), lsn: (\S+), prev (\S+),/gm)];
    const firstSegno = Number(parseLsn(fixture.wal.start) / BigInt(MIB));
    const records = readWalRecords({
      major: 15,
      segmentSize: MIB,
      segment: (segno) => fixture.wal.segments[segno - firstSegno]?.bytes,
      start: parseLsn(fixture.wal.start),
      end: parseLsn(fixture.wal.end),
    });
    const read = [...records].map(({ start, bytes }) => {
      const { resourceManager, totalLength, xid, previous } = decodeXLogRecordHeader(bytes);
      return [resourceManagerName(resourceManager), totalLength, xid, start, previous];
    });
    expect(read).toEqual(
      dumped.map(([, name, length, xid, start = '', previous = '']) => [
        name,
        Number(length),
        Number(xid),
        parseLsn(start),
        parseLsn(previous),
      ]),
    );
    expect(read.length).toBeGreaterThan(50);
  });

  it('accepts stamped checksums in a second relation segment, and finds the pages that were changed', async () => {
    await writeFile(
      join(directory, 'global/pg_control'),
      encodeControlFile(shutDownControlFile(control, built)),
    );
    const checksums = createPageChecksums({ pagesMax: PAGES });
    const { buffer } = checksums;
    for (let offset = 0; offset < buffer.length; offset++)
      buffer[offset] = (offset * 31 + (offset >> 9)) & 0xff;
    buffer.fill(0, 0, BLCKSZ);
    checksums.stamp(PAGES, SECOND_SEGMENT_BLOCK);
    await writeFile(join(directory, 'base/5/16384'), '');
    await writeFile(join(directory, 'base/5/16384.1'), buffer);
    const { stdout } = await run(join(BIN, 'pg_checksums'), ['--check', '-D', directory]);
    expect(stdout).toMatch(new RegExp(`Blocks scanned: +${PAGES}\nBad checksums: +0\n`));
    buffer[5 * BLCKSZ + 4000] = (buffer[5 * BLCKSZ + 4000] ?? 0) ^ 1;
    await writeFile(join(directory, 'base/5/16384.1'), buffer);
    expect(checksums.verify(PAGES, SECOND_SEGMENT_BLOCK)).toEqual([5]);
    const failure = run(join(BIN, 'pg_checksums'), ['--check', '-D', directory]);
    await expect(failure).rejects.toMatchObject({ stdout: expect.stringMatching(/Bad checksums: +1\n/) });
  });

  function waldump(args: readonly string[]) {
    return run(join(BIN, 'pg_waldump'), ['-p', join(directory, 'pg_wal'), ...args], { maxBuffer: 64 * MIB });
  }
});

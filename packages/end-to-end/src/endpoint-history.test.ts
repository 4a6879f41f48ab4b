import { appendFile, chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runWorkload } from '@neon-snapshot/cluster-testkit';
import {
  decodeControlFile,
  lsn,
  majorOfCatalogVersion,
  readCheckpointRecord,
  walSegmentFileName,
  walSegmentNumber,
} from '@neon-snapshot/postgres';
import {
  type ClusterChecksums,
  findPostgres,
  initdb,
  runAmcheck,
  startPostgres,
  tableChecksums,
} from '@neon-snapshot/postgres-process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { endpointServer } from './testing/endpoint-server.ts';
import { neon } from './testing/neon-cli.ts';
import { compareRelationFiles } from './testing/relation-files.ts';
import { runNeon } from './testing/running-neon.ts';
import { recoverWithStock } from './testing/stock-recovery.ts';

const isWide = process.env.CI !== undefined;
const MAJORS = isWide ? [14, 15, 16, 17] : [16];
const ROUNDS = isWide ? 7 : 2;
const SCALE = 0.2;
/** The workload prepares transactions, and all WAL is to be kept. */
const SETTINGS = [
  'max_prepared_transactions = 20',
  "wal_keep_size = '4GB'",
  'wal_recycle = off',
  'autovacuum = off',
];

/** The state of an endpoint at a moment when nothing ran. */
interface Moment {
  readonly lsn: string;
  readonly checksums: ClusterChecksums;
}

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe.each(MAJORS)('the history of an endpoint of Postgres %i', { timeout: 1_200_000 }, (major) => {
  it('can be exported at every LSN: as stock recovery of the same WAL, sound, and as it was there', async () => {
    const installation = await findPostgres({ major });
    const base = path.join(scratch.path, 'base');
    await initdb({ installation, dataDirectory: base, sync: false, dataChecksums: false });
    await appendFile(path.join(base, 'postgresql.auto.conf'), `${SETTINGS.join('\n')}\n`);
    const directory = path.join(scratch.path, 'repository');
    await mkdir(directory);
    await chmod(directory, 0o755);
    const bucket = `--storage_dest=${scratch.path}/bucket`;
    await neon(['init', '-D', directory, `--snapshot_path=${base}`, '--snapshot_format=pgdata', bucket]);
    await using running = runNeon({ directory, flags: [] });
    const { connectionString } = await running.start();
    const pgdata = path.join(directory, '.neon/endpoints/main/pgdata');
    const server = endpointServer(connectionString);
    const moments: Moment[] = [];
    const remember = async () => {
      // A record behind the moment: recovery stops before it.
      const [row] = await server.query('select pg_current_wal_insert_lsn() as lsn');
      const checksums = await tableChecksums(server);
      moments.push({ lsn: row?.lsn ?? '', checksums });
      await server.query('select pg_logical_emit_message(false, $1, $2)', { params: ['moment', 'behind'] });
    };
    await runWorkload(
      { major, copyFile: path.join(pgdata, 'copy.out'), connect: () => server.connect() },
      { scale: SCALE, rounds: ROUNDS, special: isWide, checkpoints: true, onQuiet: remember },
    );
    await server.query('select pg_switch_wal()');
    await running.command(['stop']);
    const walDirectory = path.join(scratch.path, 'wal');
    await collectWal({ base, pgdata, target: walDirectory });
    expect(moments.length).toBeGreaterThanOrEqual(ROUNDS + 2);
    for (const [index, { lsn: at, checksums }] of moments.entries()) {
      const exported = path.join(scratch.path, `export-${index}`);
      const to = [`--snapshot_path=${exported}`, '--snapshot_format=pgdata', `--lsn=${at}`];
      await neon(['export', '-D', directory, ...to]);
      const target = path.join(scratch.path, `stock-${index}`);
      await recoverWithStock({ installation, base, walDirectory, lsn: at, target });
      expect(await compareRelationFiles(target, exported, { fromWal: true }), at).toEqual([]);
      await using restored = await startPostgres({
        installation,
        dataDirectory: exported,
        settings: { max_prepared_transactions: 20 },
      });
      expect(withoutSequences(await tableChecksums(restored)), at).toEqual(withoutSequences(checksums));
      expect((await runAmcheck(restored)).problems, at).toEqual([]);
      await restored.stop('fast');
    }
  });
});

/**
 * The WAL of the endpoint, behind that of the cluster it came from: where the endpoint's begins, in the middle of a segment,
 * the bytes before are the cluster's own.
 */
async function collectWal(of: {
  readonly base: string;
  readonly pgdata: string;
  readonly target: string;
}): Promise<void> {
  await cp(path.join(of.pgdata, 'pg_wal'), of.target, { recursive: true });
  const control = decodeControlFile(await readFile(path.join(of.base, 'global/pg_control')));
  const segmentSize = control.walSegmentSizeBytes;
  const name = walSegmentFileName(1, walSegmentNumber(control.checkPoint, segmentSize), segmentSize);
  const [before, after] = await Promise.all([
    readFile(path.join(of.base, 'pg_wal', name)),
    readFile(path.join(of.target, name)),
  ]);
  const { recordEnd } = readCheckpointRecord({
    segment: before,
    segmentStart: lsn(control.checkPoint - (control.checkPoint % BigInt(segmentSize))),
    lsn: control.checkPoint,
    major: majorOfCatalogVersion(control.catalogVersion),
  });
  const length = Number(recordEnd % BigInt(segmentSize));
  after.set(before.subarray(0, length));
  await writeFile(path.join(of.target, name), after);
  await chmod(of.target, 0o755);
  for (const each of await readdir(of.target)) await chmod(path.join(of.target, each), 0o755);
}

/** WAL has sequences up to 32 values ahead, after any recovery. */
function withoutSequences(checksums: ClusterChecksums) {
  return Object.fromEntries(
    Object.entries(checksums).map(([database, { tables, largeObjects }]) => [
      database,
      { tables, largeObjects },
    ]),
  );
}

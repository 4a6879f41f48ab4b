import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SnapshotInfo, VerifyCollector, VerifyFinding } from '@neon-snapshot/format-core';
import type { PostgresServer } from '@neon-snapshot/postgres-process';
import { EXIT_CODE, exitCodeOf } from '../exit-code.ts';
import type { JsonValue } from '../output/writer.ts';
import { DATA_DIRECTORY_FORMAT } from '../plugins.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { placeSide, placeUrl, type SnapshotPlace } from '../snapshot-place.ts';
import { transferSnapshot } from '../transfer.ts';

/** What a restored cluster told about itself. */
export interface RestoreFacts {
  readonly [key: string]: JsonValue;
}

/** Nothing that belongs to the cluster's old place may run or be loaded in the throwaway server. */
const SETTINGS = {
  shared_preload_libraries: '',
  session_preload_libraries: '',
  archive_mode: 'off',
  autovacuum: 'off',
  ssl: 'off',
  fsync: 'off',
  logging_collector: 'off',
} as const;

/**
 * Exports the snapshot into a scratch directory, starts stock Postgres of its major on it, runs amcheck on everything, and reads
 * every row of every table. The directory is removed afterwards. What is wrong with the snapshot becomes a finding; that there is
 * no Postgres, or no room, rejects.
 */
export async function checkRestore(
  session: Session,
  place: SnapshotPlace,
  collector: VerifyCollector,
): Promise<RestoreFacts | undefined> {
  const parent = await mkdtemp(path.join(tmpdir(), 'neon-verify-'));
  try {
    // The account that Postgres runs as has to pass through; the data directory itself is for nobody else.
    await chmod(parent, 0o755);
    const dataDirectory = path.join(parent, 'pgdata');
    const info = await finding(collector, { code: 'EXPORT_FAILED' }, () =>
      exportTo(session, place, { parent, dataDirectory }),
    );
    if (info === undefined) return undefined;
    return await finding(collector, { code: 'START_FAILED' }, () =>
      checkServer(session, { dataDirectory, major: info.postgresMajor, collector }),
    );
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

async function exportTo(
  session: Session,
  place: SnapshotPlace,
  scratch: { readonly parent: string; readonly dataDirectory: string },
): Promise<SnapshotInfo> {
  const format = await loadFormat(session, DATA_DIRECTORY_FORMAT);
  await using storage = await openLocation(session, scratch.dataDirectory, {
    role: 'snapshot',
    access: 'write',
  });
  session.output.note(`exporting ${placeUrl(place)} to a scratch directory`);
  const { info } = await transferSnapshot(
    session,
    { ...placeSide(session, place), place: place.place, role: place.role },
    {
      format,
      storage,
      role: 'snapshot',
      isSnapshotPath: false,
      fixedFor: (source) => ({ tablespace_mapping: tablespaceMapping(source, scratch.parent) }),
    },
  );
  return info;
}

/** Tablespaces go below the scratch directory too, never to where they were. */
function tablespaceMapping({ tablespaces }: SnapshotInfo, parent: string): string[] | undefined {
  const mapping = tablespaces
    .filter(({ location }) => path.isAbsolute(location))
    .map(
      ({ oid, location }) => `${location.replaceAll('=', '\\=')}=${path.join(parent, `tablespace-${oid}`)}`,
    );
  return mapping.length === 0 ? undefined : mapping;
}

async function checkServer(
  session: Session,
  of: { readonly dataDirectory: string; readonly major: number; readonly collector: VerifyCollector },
): Promise<RestoreFacts> {
  const { findPostgres, startPostgres } = await import('@neon-snapshot/postgres-process');
  const { args, signal } = session;
  const installation = await findPostgres({ major: of.major, prefer: 'system', signal });
  session.output.note(`starting Postgres ${installation.version} on it`);
  const superuser = args.string('superuser');
  await using server = await startPostgres({
    installation,
    dataDirectory: of.dataDirectory,
    settings: SETTINGS,
    ...(superuser === undefined ? {} : { superuser }),
    signal,
  });
  const preparedTransactions = await rollBackPrepared(server, signal);
  const amcheck = await runAmchecks(session, server, of.collector);
  return {
    postgresVersion: installation.version,
    preparedTransactions,
    ...amcheck,
    databases: await countRows(session, server, of.collector),
  };
}

/** They hold locks that amcheck would wait for, and nobody will end them in a throwaway server. Returns how many there were. */
async function rollBackPrepared(server: PostgresServer, signal: AbortSignal): Promise<number> {
  const rows = await server.query('SELECT gid, database FROM pg_prepared_xacts');
  for (const { gid, database } of rows) {
    await using connection = await server.connect({ ...(database ? { database } : {}), signal });
    await connection.query(`ROLLBACK PREPARED '${(gid ?? '').replaceAll("'", "''")}'`);
  }
  return rows.length;
}

async function runAmchecks(session: Session, server: PostgresServer, collector: VerifyCollector) {
  const { runAmcheck } = await import('@neon-snapshot/postgres-process');
  session.output.note('running amcheck on every table and index');
  const report = await runAmcheck(server, { signal: session.signal });
  for (const { database, relation, message } of report.problems)
    collector.error({
      code: 'AMCHECK',
      path: `${database}: ${relation}`,
      message: `${relation} of database ${database}: ${message}`,
    });
  return { heaps: report.heapCount, btrees: report.btreeCount, gins: report.ginCount };
}

/** Reads every row of every table, its TOASTed values too. */
async function countRows(
  session: Session,
  server: PostgresServer,
  collector: VerifyCollector,
): Promise<readonly JsonValue[]> {
  const { tableChecksums } = await import('@neon-snapshot/postgres-process');
  session.output.note('reading every row');
  const checksums = await finding(collector, { code: 'READ_FAILED' }, () =>
    tableChecksums(server, { signal: session.signal }),
  );
  return Object.entries(checksums ?? {}).map(([name, { tables, sequences }]) => ({
    name,
    tables: Object.keys(tables).length,
    rows: Object.values(tables).reduce((sum, text) => sum + Number(text.split(':')[0]), 0),
    sequences: Object.keys(sequences).length,
  }));
}

/** What says that there is something wrong with the data, and not with this machine. */
const SERVER_FAULTS = new Set(['POSTGRES_PROCESS_START', 'POSTGRES_PROCESS_QUERY']);

/** Undefined where the work failed by fault of the snapshot, which was told then. */
async function finding<T>(
  collector: VerifyCollector,
  { code }: Pick<VerifyFinding, 'code'>,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const isServerFault = typeof error.code === 'string' && SERVER_FAULTS.has(error.code);
    if (!isServerFault && exitCodeOf(error) !== EXIT_CODE.invalidData) throw error;
    collector.error({ code, message: `${error.message} [${String(error.code)}]` });
    return undefined;
  }
}

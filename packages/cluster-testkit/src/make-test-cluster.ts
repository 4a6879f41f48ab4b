import { appendFile, chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ClusterChecksums,
  findPostgres,
  type PostgresInstallation,
  type PostgresServer,
  quoteIdentifier,
  startPostgres,
  tableChecksums,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import {
  bigContents,
  mainContents,
  OTHER_CONTENTS,
  OTHER_DATABASE,
  PREPARE_STATEMENTS,
  tablespaceStatements,
  VACUUM_STATEMENTS,
} from './cluster-contents.ts';
import { copyTemplate } from './template.ts';

export interface TestClusterOptions {
  readonly major: number;
  /** Default: {@link findPostgres} of the major. */
  readonly installation?: PostgresInstallation;
  /** Default false. */
  readonly dataChecksums?: boolean;
  /** Thousands of rows in the main table. Default 2 (a cluster of about 45 MB). */
  readonly scale?: number;
  /** Adds table `big` of at least so many bytes; 1.2 GiB spans two segment files. Default: none. */
  readonly bigRelationBytes?: number;
  /** A directory that does not exist yet: becomes a tablespace with a table, its TOAST table and indexes. Default: none. */
  readonly tablespaceDirectory?: string;
  /** Default: a fresh one, which disposing removes. Else it must be absent or empty, and stays. */
  readonly dataDirectory?: string;
  /** Appended to `postgresql.conf`. */
  readonly configuration?: string;
  /** Replaces `pg_hba.conf`. */
  readonly hba?: string;
  /** Postgres' TimeLineID to end on, by promoting that often. Default 1. */
  readonly timeLineId?: number;
  /** `kill` leaves what a power loss leaves. Default `fast`. */
  readonly shutdown?: 'fast' | 'immediate' | 'kill';
  readonly signal?: AbortSignal | undefined;
}

/** What {@link verifyTestCluster} holds a copy against. Plain data. */
export interface TestClusterExpectation {
  readonly major: number;
  readonly dataChecksums: boolean;
  readonly checksums: ClusterChecksums;
}

/** A stopped cluster. Disposing removes its directory unless the caller chose it. */
export interface TestCluster extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
  readonly expected: TestClusterExpectation;
}

const BLOCK_SIZE_BYTES = 8192;
const ROWS_PER_SCALE = 1000;

/** So that a cluster of one test takes few resources and changes only when the test changes it. */
const CONFIGURATION = `
max_prepared_transactions = 8
shared_buffers = 32MB
autovacuum = off
fsync = off
max_wal_size = 4GB
checkpoint_timeout = 1h
`;

/**
 * Builds a cluster with all six index types, TOAST, large objects, sequences, partitions, a materialised view, unlogged
 * tables with indexes, a second database, an empty relation, multixacts and two prepared transactions, and stops it.
 */
export async function makeTestCluster(options: TestClusterOptions): Promise<TestCluster> {
  const { major, signal } = options;
  const installation = options.installation ?? (await findPostgres({ major, signal }));
  const parent =
    options.dataDirectory === undefined ? await mkdtemp(join(tmpdir(), 'neon-cluster-')) : undefined;
  if (parent) await chmod(parent, 0o755);
  const dataDirectory = options.dataDirectory ?? join(parent ?? '', 'data');
  const remove = async () => {
    if (parent) await rm(parent, { recursive: true, force: true });
  };
  try {
    const dataChecksums = options.dataChecksums ?? false;
    await copyTemplate({ installation, dataChecksums, dataDirectory, signal });
    await appendFile(join(dataDirectory, 'postgresql.conf'), CONFIGURATION + (options.configuration ?? ''));
    if (options.hba !== undefined) await writeFile(join(dataDirectory, 'pg_hba.conf'), options.hba);
    if (options.bigRelationBytes) await addBigRelation(installation, dataDirectory, options.bigRelationBytes);
    for (let timeLineId = 1; timeLineId < (options.timeLineId ?? 1); timeLineId += 1)
      await promote(installation, dataDirectory);
    const checksums = await fill({ installation, dataDirectory, options });
    return {
      installation,
      dataDirectory,
      expected: { major, dataChecksums, checksums },
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

interface FillOptions {
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
  readonly options: TestClusterOptions;
}

async function fill({ installation, dataDirectory, options }: FillOptions): Promise<ClusterChecksums> {
  await using server = await startPostgres({ installation, dataDirectory, signal: options.signal });
  await server.query(mainContents(Math.ceil((options.scale ?? 2) * ROWS_PER_SCALE)));
  for (const statement of VACUUM_STATEMENTS) await server.query(statement);
  await lockRowsTogether(server);
  await server.query(`CREATE DATABASE ${quoteIdentifier(OTHER_DATABASE)}`);
  await server.query(OTHER_CONTENTS, { database: OTHER_DATABASE });
  if (options.tablespaceDirectory !== undefined) {
    await makeServerDirectory(options.tablespaceDirectory);
    for (const statement of tablespaceStatements(options.tablespaceDirectory)) await server.query(statement);
  }
  for (const statement of PREPARE_STATEMENTS) await server.query(statement);
  const checksums = await tableChecksums(server, { signal: options.signal });
  await server.stop(options.shutdown ?? 'fast');
  return checksums;
}

async function makeServerDirectory(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  const user = unprivilegedUser();
  if (user !== undefined) await chown(path, user.uid, user.gid);
}

/** Two transactions that share row locks at one time make multixacts. */
async function lockRowsTogether(server: PostgresServer): Promise<void> {
  await using first = await server.connect();
  await using second = await server.connect();
  for (const session of [first, second]) await session.query('BEGIN; SELECT * FROM shared_rows FOR SHARE');
  for (const session of [first, second]) await session.query('COMMIT');
}

/** With `wal_level` minimal a table filled in the transaction that made it costs no WAL. */
async function addBigRelation(
  installation: PostgresInstallation,
  dataDirectory: string,
  sizeBytes: number,
): Promise<void> {
  const settings = { wal_level: 'minimal', max_wal_senders: 0 };
  await using server = await startPostgres({ installation, dataDirectory, settings });
  await server.query(bigContents(Math.ceil(sizeBytes / BLOCK_SIZE_BYTES)));
}

async function promote(installation: PostgresInstallation, dataDirectory: string): Promise<void> {
  await writeFile(join(dataDirectory, 'standby.signal'), '');
  await using server = await startPostgres({ installation, dataDirectory });
  await server.query('SELECT pg_promote()');
}

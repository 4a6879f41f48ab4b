import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, lchown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BLCKSZ,
  CLUSTER_STATE,
  type ControlFile,
  decodeControlFile,
  encodeControlFile,
  formatRelationPath,
  type RelTag,
  readWalRecords,
  type WalRecord,
  walSegmentFileName,
} from '@neon-snapshot/postgres';
import {
  copyTree,
  initdb,
  type PostgresInstallation,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';

export interface StockClusterOptions {
  readonly installation: PostgresInstallation;
  readonly dataChecksums: boolean;
  readonly statements: readonly string[];
}

/** What Postgres was before some statements, the WAL of these, and what its own recovery makes of both. */
export interface StockCluster extends AsyncDisposable {
  readonly records: readonly WalRecord[];
  basePage(tag: RelTag, blockNumber: number): Uint8Array | undefined;
  recoveredPage(tag: RelTag, blockNumber: number): Uint8Array | undefined;
}

export async function makeStockCluster(options: StockClusterOptions): Promise<StockCluster> {
  const directory = await makeDirectory();
  const dispose = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const base = join(directory, 'base');
    const data = join(directory, 'data');
    const recovered = join(directory, 'recovered');
    await runStatements(options, { base, data });
    await copyTree({ source: base, target: recovered, skip: (path) => path.startsWith('pg_wal/') });
    await copyTree({ source: join(data, 'pg_wal'), target: join(recovered, 'pg_wal') });
    const control = decodeControlFile(readFileSync(join(base, 'global', 'pg_control')));
    const records = readRecords(join(data, 'pg_wal'), options.installation.major, control);
    recoverByPostgres(recovered, options.installation);
    return {
      records,
      basePage: (tag, blockNumber) => readPage(base, tag, blockNumber),
      recoveredPage: (tag, blockNumber) => readPage(recovered, tag, blockNumber),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function runStatements(
  { installation, dataChecksums, statements }: StockClusterOptions,
  { base, data }: { readonly base: string; readonly data: string },
): Promise<void> {
  await initdb({ installation, dataDirectory: data, dataChecksums, sync: false });
  await copyTree({ source: data, target: base });
  const settings = {
    max_wal_size: '10GB',
    wal_keep_size: '10GB',
    checkpoint_timeout: '1d',
    wal_compression: 'on',
    fsync: false,
    autovacuum: false,
  };
  await using server = await startPostgres({ installation, dataDirectory: data, settings });
  await using session = await server.connect();
  for (const sql of statements) await session.query(sql);
}

/** The server's account has to be able to walk in. */
async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'neon-stock-cluster-'));
  await chmod(directory, 0o755);
  const user = unprivilegedUser();
  if (user !== undefined) await lchown(directory, user.uid, user.gid);
  return directory;
}

function readRecords(directory: string, major: number, control: ControlFile): WalRecord[] {
  const segmentSize = control.walSegmentSizeBytes;
  const segment = (segno: number): Uint8Array | undefined => {
    const path = join(
      directory,
      walSegmentFileName(control.checkPointCopy.thisTimeLineId, segno, segmentSize),
    );
    return existsSync(path) ? readFileSync(path) : undefined;
  };
  return [...readWalRecords({ major, segmentSize, segment, start: control.checkPoint })].map((record) => ({
    ...record,
    bytes: new Uint8Array(record.bytes),
  }));
}

/** Ends right after recovery, for want of a relation map: no session sets a hint bit. */
function recoverByPostgres(directory: string, installation: PostgresInstallation): void {
  rmSync(join(directory, 'global', 'pg_filenode.map'));
  const path = join(directory, 'global', 'pg_control');
  const control = decodeControlFile(readFileSync(path));
  writeFileSync(path, encodeControlFile({ ...control, state: CLUSTER_STATE.inProduction }));
  const user = unprivilegedUser();
  if (user !== undefined) {
    const paths = ['.', ...readdirSync(directory, { recursive: true }).map(String)];
    spawnSync('chown', [`${user.uid}:${user.gid}`, ...paths], { cwd: directory });
  }
  const settings = ['fsync=off', 'autovacuum=off', 'log_min_messages=log'].flatMap((each) => ['-c', each]);
  const { stderr } = spawnSync(
    join(installation.binDirectory, 'postgres'),
    ['--single', '-D', directory, ...settings, 'postgres'],
    { input: '', encoding: 'utf8', ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }) },
  );
  const { state } = decodeControlFile(readFileSync(path));
  if (!stderr.includes('redo done at') || state !== CLUSTER_STATE.shutDown) throw new Error(stderr);
}

function readPage(directory: string, tag: RelTag, blockNumber: number): Uint8Array | undefined {
  const path = join(directory, formatRelationPath(tag, 0));
  if (!existsSync(path)) return undefined;
  const page = readFileSync(path).subarray(blockNumber * BLCKSZ, (blockNumber + 1) * BLCKSZ);
  return page.length === BLCKSZ ? page : undefined;
}

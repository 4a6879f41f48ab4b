/* A cluster of stock Postgres before and after a workload, with the WAL between. */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, lchown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  readWalRecords,
  WAL_SEGMENT_SIZE_DEFAULT,
  type WalRecord,
  walSegmentFileName,
} from '@neon-snapshot/postgres';
import {
  copyTree,
  findPostgres,
  initdb,
  type PostgresServer,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import { PgdataState } from './pgdata-state.ts';

export interface StockCluster extends AsyncDisposable {
  readonly before: PgdataState;
  readonly after: PgdataState;
  /** All records from the checkpoint that ended `before` to that which ended `after`. */
  wal(): Generator<WalRecord>;
}

const SETTINGS = {
  wal_level: 'logical',
  max_wal_size: '10GB',
  wal_keep_size: '10GB',
  checkpoint_timeout: '1d',
  max_prepared_transactions: 5,
  fsync: false,
  autovacuum: false,
  shared_buffers: '32MB',
  wal_compression: 'on',
};

/** Makes a cluster of a major and runs the workload on it. */
export async function makeStockCluster(
  major: number,
  workload: (server: PostgresServer) => Promise<void>,
): Promise<StockCluster> {
  const directory = await mkdtemp(path.join(tmpdir(), 'neon-ingest-'));
  const dispose = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    await chmod(directory, 0o755);
    const user = unprivilegedUser();
    if (user !== undefined) await lchown(directory, user.uid, user.gid);
    const [base, data] = [path.join(directory, 'base'), path.join(directory, 'data')];
    const installation = await findPostgres({ major });
    await initdb({ installation, dataDirectory: data, sync: false });
    await copyTree({ source: data, target: base });
    {
      await using server = await startPostgres({ installation, dataDirectory: data, settings: SETTINGS });
      await workload(server);
      await server.stop('fast');
    }
    const before = new PgdataState(base, major);
    const after = new PgdataState(data, major);
    const walDirectory = path.join(data, 'pg_wal');
    const wal = () => readWalRecords({ ...walSource(walDirectory, major), start: before.control.checkPoint });
    return { before, after, wal, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function walSource(directory: string, major: number) {
  const segmentSize = WAL_SEGMENT_SIZE_DEFAULT;
  return {
    major,
    segmentSize,
    segment: (segno: number): Uint8Array | undefined => {
      const file = path.join(directory, walSegmentFileName(1, segno, segmentSize));
      return existsSync(file) ? new Uint8Array(readFileSync(file)) : undefined;
    },
  };
}

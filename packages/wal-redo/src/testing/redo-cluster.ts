import { existsSync, readFileSync } from 'node:fs';
import { chmod, lchown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ControlFile,
  decodeControlFile,
  type Lsn,
  type WalSource,
  walSegmentFileName,
} from '@neon-snapshot/postgres';
import {
  copyTree,
  initdb,
  type PostgresInstallation,
  type PostgresServer,
  type ServerSettings,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';

export interface RedoClusterOptions {
  readonly installation: PostgresInstallation;
  readonly dataChecksums?: boolean;
  readonly settings?: ServerSettings;
}

/** A stopped cluster with all WAL since its base, a copy of its data directory before the workload. */
export interface RedoCluster extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  readonly directory: string;
  readonly baseDirectory: string;
  readonly dataDirectory: string;
  readonly control: ControlFile;
  readonly wal: WalSource;
  /** Where the WAL after the base begins: its shutdown checkpoint. */
  readonly start: Lsn;
}

const SETTINGS: ServerSettings = {
  wal_level: 'logical',
  max_wal_size: '100GB',
  wal_keep_size: '60GB',
  wal_recycle: false,
  wal_init_zero: false,
  checkpoint_timeout: '1d',
  max_prepared_transactions: 20,
  fsync: false,
  synchronous_commit: false,
  autovacuum: false,
  shared_buffers: '128MB',
};

/** Makes a cluster, keeps a copy of it, and runs a workload on it. Dispose to remove both. */
export async function makeRedoCluster(
  options: RedoClusterOptions,
  workload: (server: PostgresServer) => Promise<void>,
): Promise<RedoCluster> {
  const { installation } = options;
  const directory = await makeDirectory();
  const dispose = () => rm(directory, { recursive: true, force: true });
  try {
    const baseDirectory = join(directory, 'base');
    const dataDirectory = join(directory, 'data');
    await initdb({ installation, dataDirectory, dataChecksums: options.dataChecksums ?? false, sync: false });
    await copyTree({ source: dataDirectory, target: baseDirectory });
    {
      const settings = { ...SETTINGS, ...options.settings };
      await using server = await startPostgres({ installation, dataDirectory, settings });
      await workload(server);
      await server.stop('fast');
    }
    const control = decodeControlFile(await readFile(join(baseDirectory, 'global', 'pg_control')));
    const wal = walSource(join(dataDirectory, 'pg_wal'), { installation, control });
    return {
      installation,
      directory,
      baseDirectory,
      dataDirectory,
      control,
      wal,
      start: control.checkPoint,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The server's account has to be able to walk in. */
async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'neon-redo-'));
  await chmod(directory, 0o755);
  const user = unprivilegedUser();
  if (user !== undefined) await lchown(directory, user.uid, user.gid);
  return directory;
}

function walSource(
  directory: string,
  of: { readonly installation: PostgresInstallation; readonly control: ControlFile },
): WalSource {
  const segmentSize = of.control.walSegmentSizeBytes;
  const timeLineId = of.control.checkPointCopy.thisTimeLineId;
  return {
    major: of.installation.major,
    segmentSize,
    systemIdentifier: of.control.systemIdentifier,
    segment: (segno) => {
      const path = join(directory, walSegmentFileName(timeLineId, segno, segmentSize));
      return existsSync(path) ? readFileSync(path) : undefined;
    },
  };
}

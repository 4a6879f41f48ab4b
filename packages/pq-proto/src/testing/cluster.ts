import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  findPostgres,
  type InitdbOptions,
  initdb,
  type PostgresInstallation,
} from '@neon-snapshot/postgres-process';

export interface Cluster extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
  /** Every account may enter it; removed with the cluster. */
  readonly directory: string;
}

export const PASSWORD = 'päßwort with space';

/** An empty cluster whose superuser `postgres` has {@link PASSWORD}. */
export async function makeCluster(
  major: InitdbOptions['installation']['major'],
  options: Partial<InitdbOptions> = {},
): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), 'neon-pq-'));
  await chmod(directory, 0o755);
  const installation = await findPostgres({ major });
  const dataDirectory = join(directory, 'data');
  await initdb({ sync: false, password: PASSWORD, ...options, installation, dataDirectory });
  return {
    installation,
    dataDirectory,
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostgres } from '../find-postgres.ts';
import { type InitdbOptions, initdb } from '../initdb.ts';
import type { PostgresInstallation } from '../installation.ts';

/** A directory that every account can enter, removed when disposed. */
export async function makeTemporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'neon-process-'));
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface SmallCluster extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
}

/** An empty cluster, removed when disposed. */
export async function makeSmallCluster(options: Partial<InitdbOptions> = {}): Promise<SmallCluster> {
  const parent = await makeTemporaryDirectory();
  const installation = options.installation ?? (await findPostgres({ major: 17 }));
  const dataDirectory = join(parent.path, 'data');
  await initdb({ sync: false, ...options, installation, dataDirectory });
  return { installation, dataDirectory, [Symbol.asyncDispose]: () => parent[Symbol.asyncDispose]() };
}

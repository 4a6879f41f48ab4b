import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { unprivilegedUser } from '@neon-snapshot/postgres-process';

export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string;
}

/** A directory that the account which Postgres runs as can pass through. */
export async function makeScratchDirectory(): Promise<ScratchDirectory> {
  const directory = await mkdtemp(path.join(tmpdir(), 'neon-e2e-'));
  await chmod(directory, 0o755);
  return { path: directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/** Gives files to the account that servers run as. */
export async function giveToServer(directory: string): Promise<void> {
  const user = unprivilegedUser();
  if (user === undefined) return;
  await promisify(execFile)('chown', ['-R', `${user.uid}:${user.gid}`, directory]);
}

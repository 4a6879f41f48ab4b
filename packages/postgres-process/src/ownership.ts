import { lchownSync } from 'node:fs';
import { chmod, lchown, mkdir, mkdtemp, readdir, realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PostgresProcessError } from './postgres-process-error.ts';
import { assertReachable } from './reachable-path.ts';
import type { ServerUser } from './server-user.ts';

/** Makes `directory` (0700, with its parents) and gives it to `user`, who must be able to reach it. */
export async function makeOwnedDirectory(directory: string, user: ServerUser | undefined): Promise<void> {
  const path = resolve(directory);
  await mkdir(path, { recursive: true, mode: 0o755 });
  await assertReachable(path, user);
  await chmod(path, 0o700);
  if (user) await lchown(path, user.uid, user.gid);
}

/** A fresh directory for a server's socket and files of one run; short, because a socket path has at most 107 bytes. */
export async function makeRuntimeDirectory(user: ServerUser | undefined): Promise<string> {
  const candidates = process.platform === 'win32' ? [tmpdir()] : [tmpdir(), '/tmp'];
  const parent = candidates.find((candidate) => candidate.length <= 60) ?? '/tmp';
  const directory = await mkdtemp(join(parent, 'neon-pg-'));
  if (user) await lchown(directory, user.uid, user.gid);
  await assertReachable(directory, user);
  return directory;
}

/**
 * Gives a data directory that root owns to `user`, with the WAL and tablespace directories that it links to: Postgres
 * serves only files of its own account. Links themselves are changed, not followed.
 */
export async function giveDataDirectory(directory: string, user: ServerUser): Promise<void> {
  await assertReachable(directory, user);
  await giveTree(directory, user);
  const tablespaces = join(directory, 'pg_tblspc');
  const names = await readdir(tablespaces).catch(() => []);
  for (const path of [join(directory, 'pg_wal'), ...names.map((name) => join(tablespaces, name))]) {
    const target = await realpath(path).catch(() => undefined);
    if (target === undefined || target.startsWith(`${await realpath(directory)}/`)) continue;
    await assertReachable(target, user);
    if ((await stat(target)).uid !== user.uid) await giveTree(target, user);
  }
}

async function giveTree(directory: string, user: ServerUser): Promise<void> {
  await lchown(directory, user.uid, user.gid);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await giveTree(path, user);
    // Sync: one system call of a microsecond, against a thread hop of twenty.
    else lchownSync(path, user.uid, user.gid);
  }
}

/** Uid of the owner of a data directory; throws `POSTGRES_PROCESS_NOT_A_CLUSTER` when there is none. */
export async function dataDirectoryOwner(directory: string): Promise<number> {
  try {
    const facts = await stat(directory);
    await stat(join(directory, 'PG_VERSION'));
    return facts.uid;
  } catch (error) {
    throw new PostgresProcessError({
      code: 'POSTGRES_PROCESS_NOT_A_CLUSTER',
      operation: 'start',
      message: `${directory} is not a Postgres data directory: it has no PG_VERSION`,
      context: { directory },
      cause: error,
    });
  }
}

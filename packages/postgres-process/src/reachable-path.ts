import { realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { PostgresProcessError } from './postgres-process-error.ts';
import type { ServerUser } from './server-user.ts';

const EXECUTE = 1;

/**
 * The first directory on the way to `path` that `user` may not enter, or undefined when it can reach `path`.
 * Judged by mode bits, as the kernel judges an account without extra groups; a missing tail is no obstacle.
 */
export async function blockedComponent(path: string, user: ServerUser): Promise<string | undefined> {
  for (const directory of await ancestors(path)) {
    const facts = await stat(directory);
    if (!facts.isDirectory()) continue;
    const shift = facts.uid === user.uid ? 6 : facts.gid === user.gid ? 3 : 0;
    if (((facts.mode >> shift) & EXECUTE) === 0) return directory;
  }
  return undefined;
}

/** Throws `POSTGRES_PROCESS_UNREACHABLE`, naming the directory that `user` may not enter. */
export async function assertReachable(path: string, user: ServerUser | undefined): Promise<void> {
  if (user === undefined) return;
  const blocked = await blockedComponent(dirname(resolve(path)), user);
  if (blocked === undefined) return;
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_UNREACHABLE',
    operation: 'drop privileges',
    message: `${path} cannot be used by Postgres: running as root it drops to the user ${user.name}, who may not enter ${blocked}; choose a directory outside it, or chmod o+x ${blocked}`,
    context: { path, blocked, user: user.name },
  });
}

/** Existing directories from the root to `path`, both as written and with links resolved. */
async function ancestors(path: string): Promise<string[]> {
  const found = new Set<string>();
  for (let current = resolve(path); ; current = dirname(current)) {
    try {
      const real = await realpath(current);
      for (let each = real; ; each = dirname(each)) {
        found.add(each);
        if (each === dirname(each)) break;
      }
    } catch {
      // Not there yet: whoever creates it owns it.
    }
    if (current === dirname(current)) break;
  }
  return [...found].sort((a, b) => a.length - b.length);
}

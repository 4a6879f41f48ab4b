import { chmod, lstat, mkdir } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PostgresProcessError } from './postgres-process-error.ts';
import { blockedComponent } from './reachable-path.ts';
import type { ServerUser } from './server-user.ts';

const NAME = 'neon-snapshot';
const WRITABLE_BY_OTHERS = 0o022;

/**
 * A directory of ours that outlives this process and that `user` can reach: `directory`, else `NEON_CACHE_DIR`, else
 * the machine's cache (root) or the user's, else one in the temporary directory.
 * One that somebody else could write to is refused, since programs are run from it.
 */
export async function openCacheDirectory(options: {
  readonly user: ServerUser | undefined;
  readonly directory?: string | undefined;
}): Promise<string> {
  const wanted = options.directory ?? process.env.NEON_CACHE_DIR;
  const candidates = wanted ? [resolve(wanted)] : defaultDirectories(options.user !== undefined);
  const refusals: string[] = [];
  for (const candidate of candidates) {
    const refusal = await prepare(candidate, options.user);
    if (refusal === undefined) return candidate;
    refusals.push(`${candidate}: ${refusal}`);
  }
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_UNREACHABLE',
    operation: 'open cache',
    message: `no directory for cached programs (${refusals.join('; ')}); set NEON_CACHE_DIR to a directory that only you can write and that ${options.user?.name ?? 'you'} can enter`,
  });
}

function defaultDirectories(isRoot: boolean): string[] {
  const own = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const temporary = join(tmpdir(), `${NAME}-${process.getuid?.() ?? 'cache'}`);
  return [join(isRoot ? '/var/cache' : own, NAME), temporary];
}

async function prepare(directory: string, user: ServerUser | undefined): Promise<string | undefined> {
  try {
    const created = await mkdir(directory, { recursive: true });
    if (created !== undefined) await chmod(directory, 0o755);
    const facts = await lstat(directory);
    if (!facts.isDirectory()) return 'not a directory';
    if (process.getuid !== undefined && facts.uid !== process.getuid()) return 'owned by another user';
    if ((facts.mode & WRITABLE_BY_OTHERS) !== 0) return 'writable by other users';
    const blocked = user && (await blockedComponent(directory, user));
    return blocked === undefined ? undefined : `${user?.name} may not enter ${blocked}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

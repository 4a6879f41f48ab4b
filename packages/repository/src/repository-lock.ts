import { link, readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writeFileAtomic } from './atomic-file.ts';
import { makeDirectories } from './make-directories.ts';
import { isNumberTaken, processStart } from './process-identity.ts';
import { hasErrno, ioError, RepositoryError } from './repository-error.ts';

/** Who holds a repository. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  /** What tells the process from a later one of the same number; empty where the system has no such thing. */
  readonly processStart: string;
  /** What it is doing, e.g. `neon start`. */
  readonly command: string;
  /** ISO 8601. */
  readonly since: string;
}

/** Held until released or disposed; a holder that died loses it to the next one who asks on the same machine. */
export interface RepositoryLock extends AsyncDisposable {
  readonly holder: LockHolder;
  release(): Promise<void>;
}

/** A guard that outlived its short task belongs to somebody who died in it. */
const GUARD_AGE_MAX_MS = 10_000;
const GUARD_WAIT_MS = 20;

/** Makes this process the one owner of a repository. Throws `REPOSITORY_LOCKED`, naming the holder. */
export async function acquireLock(
  lockFile: string,
  options: { readonly command: string },
): Promise<RepositoryLock> {
  const holder: LockHolder = {
    pid: process.pid,
    host: hostname(),
    processStart: (await processStart(process.pid)) ?? '',
    command: options.command,
    since: new Date().toISOString(),
  };
  const text = `${JSON.stringify(holder)}\n`;
  try {
    await makeDirectories(dirname(lockFile));
    while (!(await tryCreate(lockFile, text))) await removeIfStale(lockFile);
  } catch (error) {
    throw ioError(error, { operation: 'lock', path: lockFile });
  }
  const release = async () => {
    // Only our own: it may have been taken over while this machine was asleep.
    if ((await readFile(lockFile, 'utf8').catch(() => '')) === text) await rm(lockFile, { force: true });
  };
  return { holder, release, [Symbol.asyncDispose]: release };
}

/** Who holds the repository now; undefined when nobody living does. */
export async function readLockHolder(lockFile: string): Promise<LockHolder | undefined> {
  const text = await readFile(lockFile, 'utf8').catch(() => undefined);
  const holder = text === undefined ? undefined : parseHolder(text);
  return holder !== undefined && (await isAlive(holder)) ? holder : undefined;
}

async function tryCreate(path: string, text: string): Promise<boolean> {
  try {
    await writeFileAtomic({ path, text, exclusive: true });
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Removes a lock whose holder is gone. Under a guard, so that of several who find it none removes the lock of another. */
async function removeIfStale(lockFile: string): Promise<void> {
  const text = await readFile(lockFile, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const holder = parseHolder(text);
  if (holder === undefined || (await isAlive(holder))) throw lockedError(lockFile, holder);
  const guard = `${lockFile}.guard`;
  try {
    await link(lockFile, guard);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    if (!hasErrno(error, 'EEXIST')) throw error;
    const age = Date.now() - (await stat(guard).catch(() => ({ ctimeMs: Date.now() }))).ctimeMs;
    if (age > GUARD_AGE_MAX_MS) await rm(guard, { force: true });
    await delay(GUARD_WAIT_MS);
    return;
  }
  try {
    if ((await readFile(lockFile, 'utf8').catch(() => undefined)) === text)
      await rm(lockFile, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function isAlive(holder: LockHolder): Promise<boolean> {
  // Another machine's processes can't be seen: its lock stands until it is removed by hand.
  if (holder.host !== hostname()) return true;
  if (!isNumberTaken(holder.pid)) return false;
  return holder.processStart === '' || (await processStart(holder.pid)) === holder.processStart;
}

function parseHolder(text: string): LockHolder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, host, processStart: start, command, since } = value as Record<string, unknown>;
  if (typeof pid !== 'number' || typeof host !== 'string') return undefined;
  return {
    pid,
    host,
    processStart: String(start ?? ''),
    command: String(command ?? ''),
    since: String(since ?? ''),
  };
}

function lockedError(lockFile: string, holder: LockHolder | undefined): RepositoryError {
  const who =
    holder === undefined
      ? 'a process that cannot be told from the file'
      : `${holder.command} (pid ${holder.pid} on ${holder.host}, since ${holder.since})`;
  return new RepositoryError({
    code: 'REPOSITORY_LOCKED',
    operation: 'lock',
    message: `the repository is in use by ${who}; stop it first, or remove ${lockFile} if it is gone`,
    context: { lockFile, pid: holder?.pid, host: holder?.host },
  });
}

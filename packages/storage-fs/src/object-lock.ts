import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StorageError, throwIfAborted } from '@neon-snapshot/storage-core';
import { CREATE_FLAGS, errnoOf, link, lstat, open, rename, unlink } from './fs-calls.ts';
import { isMissing } from './fs-root.ts';
import { lockName, temporaryName } from './hidden-names.ts';

/** A lock is held for a few system calls. One that has not changed for this long was left by a crash. */
const STALE_AFTER_MS = 30_000;
const WAIT_MAX_MS = 2 * STALE_AFTER_MS;
const POLL_MIN_MS = 2;
const POLL_MAX_MS = 50;
const LOCK_MODE = 0o600;
const HASH_LENGTH = 24;

/**
 * Runs `work` while holding the lock file of one object, which processes on any machine that shares the directory respect.
 * A stale lock is recognised by watching it, so no two clocks are compared. Only conditional puts take the lock.
 */
export async function withObjectLock<Result>(
  call: { readonly path: string; readonly key: string; readonly signal: AbortSignal | undefined },
  work: () => Promise<Result>,
): Promise<Result> {
  const hash = createHash('sha256').update(basename(call.path)).digest('hex').slice(0, HASH_LENGTH);
  const lockPath = `${dirname(call.path)}/${lockName(hash)}`;
  await acquire(lockPath, call);
  try {
    return await work();
  } finally {
    await unlink(lockPath).catch(() => undefined);
  }
}

async function acquire(
  lockPath: string,
  call: { readonly key: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const startedAt = performance.now();
  let seen: { readonly identity: string; readonly since: number } | undefined;
  for (let pollMs = POLL_MIN_MS; ; pollMs = Math.min(POLL_MAX_MS, pollMs * 2)) {
    throwIfAborted(call.signal, { operation: 'put', key: call.key });
    if (await tryCreate(lockPath)) return;
    const identity = await identityOf(lockPath);
    const now = performance.now();
    if (identity === undefined || identity !== seen?.identity)
      seen = { identity: identity ?? '', since: now };
    else if (now - seen.since > STALE_AFTER_MS) await removeStale(lockPath, identity);
    if (now - startedAt > WAIT_MAX_MS) throw lockTimeout(lockPath, call.key);
    await sleep(pollMs * (1 + Math.random()));
  }
}

async function tryCreate(lockPath: string): Promise<boolean> {
  try {
    closeSync(await open(lockPath, CREATE_FLAGS, LOCK_MODE));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const stats = await lstat(path, { bigint: true });
    return `${stats.ino}-${stats.ctimeNs}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Takes the lock away by rename, which one contender wins; puts it back where it turns out to be somebody's new one. */
async function removeStale(lockPath: string, identity: string): Promise<void> {
  const taken = `${dirname(lockPath)}/${temporaryName()}`;
  const inode = identity.split('-')[0];
  try {
    await rename(lockPath, taken);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  // The rename itself changed ctime, so only the inode can be compared.
  const takenIdentity = await identityOf(taken);
  if (takenIdentity?.split('-')[0] !== inode) await link(taken, lockPath).catch(() => undefined);
  await unlink(taken).catch(() => undefined);
}

function lockTimeout(lockPath: string, key: string): StorageError {
  return new StorageError({
    code: 'STORAGE_UNAVAILABLE',
    operation: 'put',
    message: `another process has held the lock ${lockPath} for ${WAIT_MAX_MS / 1000} s; try again, or remove it if no neon is running`,
    key,
    retryable: true,
    context: { lockPath },
  });
}

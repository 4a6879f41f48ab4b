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
const POLL_MIN_MS = 2;
const POLL_MAX_MS = 50;
const LOCK_MODE = 0o600;
const HASH_LENGTH = 24;

export interface ObjectLockCall {
  readonly path: string;
  readonly key: string;
  readonly signal: AbortSignal | undefined;
  /** How long a lock must be seen unchanged to count as left behind; default 30,000. */
  readonly staleAfterMs?: number;
}

/**
 * Runs `work` while holding the lock file of one object, which processes on any machine that shares the directory respect.
 * A stale lock is recognised by watching it, so no two clocks are compared. Only conditional puts take the lock.
 */
export async function withObjectLock<Result>(
  call: ObjectLockCall,
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

async function acquire(lockPath: string, call: ObjectLockCall): Promise<void> {
  const staleAfterMs = call.staleAfterMs ?? STALE_AFTER_MS;
  const startedAt = performance.now();
  let seen: { readonly identity: string; readonly since: number } | undefined;
  for (let pollMs = POLL_MIN_MS; ; pollMs = Math.min(POLL_MAX_MS, pollMs * 2)) {
    throwIfAborted(call.signal, { operation: 'put', key: call.key });
    if (await tryCreate(lockPath)) return;
    const identity = await identityOf(lockPath);
    const now = performance.now();
    if (identity === undefined || identity !== seen?.identity)
      seen = { identity: identity ?? '', since: now };
    else if (now - seen.since > staleAfterMs) await removeStale(lockPath, identity);
    if (now - startedAt > 2 * staleAfterMs) throw lockTimeout(lockPath, call.key);
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
    message: `the lock ${lockPath} could not be had, since other processes kept replacing ${key}; try again`,
    key,
    retryable: true,
    context: { lockPath },
  });
}

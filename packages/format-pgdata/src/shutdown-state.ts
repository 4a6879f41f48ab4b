import { FormatError } from '@neon-snapshot/format-core';
import { CLUSTER_STATE, clusterStates } from '@neon-snapshot/postgres';
import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import type { ClusterControl } from './cluster-control.ts';
import { BACKUP_LABEL_PATH, POSTMASTER_PID_PATH } from './data-directory-layout.ts';
import { readObjectIfAny } from './read-object.ts';

const POSTMASTER_PID_SIZE_MAX_BYTES = 4096;

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * `FORMAT_RUNNING` when a server may be running on the directory: `postmaster.pid` is there and its process lives, or can't be
 * looked for because the directory is no directory of this machine.
 */
export async function assertNotRunning(storage: Storage, options: CheckOptions): Promise<void> {
  const bytes = await readObjectIfAny(storage, POSTMASTER_PID_PATH, {
    ...options,
    sizeMaxBytes: POSTMASTER_PID_SIZE_MAX_BYTES,
  });
  if (bytes === undefined) return;
  const pid = Number.parseInt(new TextDecoder().decode(bytes), 10);
  if (storage.fileTree !== undefined && Number.isInteger(pid) && !isAlive(Math.abs(pid))) return;
  throw new FormatError({
    code: 'FORMAT_RUNNING',
    operation: 'check data directory',
    message: `a server may be running on ${storage.url}: ${POSTMASTER_PID_PATH} names process ${pid}; stop it (pg_ctl stop), or remove that file if you are sure that none runs`,
    context: { pid },
  });
}

/** What keeps the directory from being a snapshot as it is, or undefined for a clean shutdown. One clause. */
export async function findInconsistency(
  storage: Storage,
  control: ClusterControl,
  options: CheckOptions,
): Promise<string | undefined> {
  if (await exists(storage, BACKUP_LABEL_PATH, options)) {
    return `it has a ${BACKUP_LABEL_PATH}: it is a base backup that needs the WAL made while it was taken`;
  }
  const { state } = control.controlFile;
  if (state === CLUSTER_STATE.shutDown) return undefined;
  const text = clusterStates[state] ?? `${state}`;
  if (state === CLUSTER_STATE.shutDownInRecovery) return `it is a standby, its state is "${text}"`;
  return `it was not shut down cleanly, its state is "${text}"`;
}

export function notShutDownError(storage: Storage, inconsistency: string, hint: string): FormatError {
  return new FormatError({
    code: 'FORMAT_NOT_SHUT_DOWN',
    operation: 'check data directory',
    message: `${storage.url} is not consistent by itself: ${inconsistency}; ${hint}`,
  });
}

/** Signal 0 asks only whether the process exists; EPERM says that it does and is another user's. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function exists(storage: Storage, key: string, options: CheckOptions): Promise<boolean> {
  try {
    await storage.head(key, options);
    return true;
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return false;
    throw error;
  }
}

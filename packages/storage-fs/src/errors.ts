import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  isStorageError,
  StorageError,
  type StorageErrorCode,
  type StorageOperation,
} from '@neon-snapshot/storage-core';
import { errnoOf, lstat } from './fs-calls.ts';

export interface FailedCall {
  readonly operation: StorageOperation;
  /** Absolute path that the system call was about. */
  readonly path: string;
  readonly key?: string | undefined;
}

const CODES: Readonly<Record<string, { readonly code: StorageErrorCode; readonly reason: string }>> = {
  ENOENT: { code: 'STORAGE_NOT_FOUND', reason: 'it does not exist' },
  ENOTDIR: { code: 'STORAGE_NOT_FOUND', reason: 'a file stands where a directory would have to be' },
  ELOOP: { code: 'STORAGE_OUTSIDE_ROOT', reason: 'it is a symbolic link, and links are never followed' },
  EEXIST: { code: 'STORAGE_ALREADY_EXISTS', reason: 'it exists already' },
  ENOSPC: { code: 'STORAGE_NO_SPACE', reason: 'the file system is full' },
  EDQUOT: { code: 'STORAGE_NO_SPACE', reason: 'the disk quota is used up' },
  EROFS: { code: 'STORAGE_ACCESS_DENIED', reason: 'the file system is mounted read-only' },
  EFBIG: {
    code: 'STORAGE_TOO_LARGE',
    reason: 'the file would be larger than the file system or the limits allow',
  },
  ENAMETOOLONG: {
    code: 'STORAGE_INVALID_KEY',
    reason: 'the path or one of its names is too long for the file system',
  },
  EMFILE: { code: 'STORAGE_UNAVAILABLE', reason: 'too many files are open in this process (see ulimit -n)' },
  ENFILE: { code: 'STORAGE_UNAVAILABLE', reason: 'too many files are open on this machine' },
};

/** A failed system call as a `StorageError`; anything that is one already, or is no system error, passes unchanged. */
export async function translateError(error: unknown, call: FailedCall): Promise<unknown> {
  const errno = errnoOf(error);
  if (isStorageError(error) || errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return error;
  if (errno === 'EACCES' || errno === 'EPERM') return accessDenied(error, call);
  const known = CODES[errno];
  return new StorageError({
    code: known?.code ?? 'STORAGE_IO',
    operation: call.operation,
    message: `${verbOf(call)} of ${call.path} failed: ${known?.reason ?? (error instanceof Error ? error.message : errno)}`,
    key: call.key,
    retryable: errno === 'EMFILE' || errno === 'ENFILE',
    context: { path: call.path, errno },
    cause: error,
  });
}

function verbOf({ operation }: FailedCall): string {
  return operation === 'tree' ? 'write' : operation;
}

/** Runs file system work and throws what fails as `translateError` says. */
export async function translated<Result>(call: FailedCall, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw await translateError(error, call);
  }
}

async function accessDenied(cause: unknown, call: FailedCall): Promise<StorageError> {
  const component = await blockedComponent(call.path);
  const uid = process.getuid?.();
  const who = uid === undefined ? 'this user' : `user ${uid}`;
  const what =
    component === undefined ? `${who} may not do that with ${call.path}` : `${who} may not ${component}`;
  return new StorageError({
    code: 'STORAGE_ACCESS_DENIED',
    operation: call.operation,
    message: `${verbOf(call)} of ${call.path} was refused: ${what}`,
    key: call.key,
    context: { path: call.path, component },
    cause,
  });
}

/** The first component from the top that stands in the way, as the rest of a sentence. */
async function blockedComponent(path: string): Promise<string | undefined> {
  for (const directory of ancestorsOf(path)) {
    if (await mayAccess(directory, constants.X_OK)) continue;
    return (await mayAccess(directory, constants.F_OK)) ? `enter the directory ${directory}` : undefined;
  }
  if (await mayAccess(path, constants.F_OK)) {
    const what = (await lstat(path)).isDirectory() ? `the directory ${path}` : path;
    if (!(await mayAccess(path, constants.R_OK))) return `read ${what}`;
    if (!(await mayAccess(path, constants.W_OK))) return `write to ${what}`;
  }
  const parent = dirname(path);
  return (await mayAccess(parent, constants.W_OK)) ? undefined : `write to the directory ${parent}`;
}

function ancestorsOf(path: string): readonly string[] {
  const ancestors: string[] = [];
  for (let each = dirname(path); ; each = dirname(each)) {
    ancestors.unshift(each);
    if (each === dirname(each)) return ancestors;
  }
}

async function mayAccess(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

export function notFoundError(call: FailedCall): StorageError {
  return new StorageError({
    code: 'STORAGE_NOT_FOUND',
    operation: call.operation,
    message: `there is no object at ${call.path}`,
    key: call.key,
    context: { path: call.path },
  });
}

export function outsideRootError(call: FailedCall): StorageError {
  return new StorageError({
    code: 'STORAGE_OUTSIDE_ROOT',
    operation: call.operation,
    message: `${call.path} is a symbolic link; links are never followed, since they may lead out of the storage`,
    key: call.key,
    context: { path: call.path },
  });
}

/** What an object store could hold but a file system cannot: a name that is a file and a directory at once. */
export function nameTakenError(call: FailedCall & { readonly by: 'file' | 'directory' }): StorageError {
  return new StorageError({
    code: 'STORAGE_INVALID_KEY',
    operation: call.operation,
    message:
      call.by === 'file'
        ? `${call.path} is a file, so no object can be stored below it on a file system`
        : `${call.path} is a directory, so no object can be stored under that name on a file system`,
    key: call.key,
    context: { path: call.path },
  });
}

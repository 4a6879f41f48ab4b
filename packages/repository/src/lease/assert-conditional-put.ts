import { randomBytes } from 'node:crypto';
import {
  isStorageError,
  type PutOptions,
  type Storage,
  type StorageErrorCode,
} from '@neon-snapshot/storage-core';
import { unsupportedLeaseError } from './lease-errors.ts';

export interface AssertConditionalPutOptions {
  readonly storage: Storage;
  /** Where `lease.json` lies. */
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
}

/** No version of any object. */
const FOREIGN_ETAG = '0'.repeat(32);
const REFUSALS: readonly StorageErrorCode[] = ['STORAGE_ALREADY_EXISTS', 'STORAGE_PRECONDITION_FAILED'];

/** What can be told without writing: throws `REPOSITORY_LEASE_UNSUPPORTED` where the storage says that it has no conditional put. */
export function assertDeclaresConditionalPut({ capability, url }: Storage): void {
  const { ifMatch, ifNoneMatch } = capability.conditionalPut;
  if (!ifMatch || !ifNoneMatch) throw unsupportedLeaseError(url);
}

/**
 * Throws `REPOSITORY_LEASE_UNSUPPORTED` unless the storage refuses a put whose condition does not hold. Some stores that speak S3
 * take the header and ignore it: nothing keeps two writers apart there, and neither hears of the other. Puts a small object of
 * its own and deletes it.
 */
export async function assertConditionalPut(options: AssertConditionalPutOptions): Promise<void> {
  const { storage, directory, signal } = options;
  assertDeclaresConditionalPut(storage);
  const key = `${directory}/probe-${randomBytes(8).toString('hex')}`;
  await storage.put(key, new Uint8Array(1), { signal });
  try {
    for (const condition of [{ ifNoneMatch: '*' }, { ifMatch: FOREIGN_ETAG }] as const)
      if (!(await isRefused(storage, key, { ...condition, signal })))
        throw unsupportedLeaseError(storage.url);
  } finally {
    await storage.delete([key], { signal }).catch(() => undefined);
  }
}

async function isRefused(storage: Storage, key: string, options: PutOptions): Promise<boolean> {
  try {
    await storage.put(key, new Uint8Array(1), options);
    return false;
  } catch (error) {
    if (!isStorageError(error)) throw error;
    if (REFUSALS.includes(error.code)) return true;
    if (error.code === 'STORAGE_UNSUPPORTED') return false;
    throw error;
  }
}

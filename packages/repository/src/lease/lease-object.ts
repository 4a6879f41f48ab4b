import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';
import { decodeLeaseRecord, encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';
import { isSameHolding } from './lease-state.ts';

const LEASE_BYTES_MAX = 64 * 1024;

export interface StoredLease {
  readonly record: LeaseRecord;
  /** Version of the object that the record was read from, or became. */
  readonly etag: string;
}

export type LeasePutOutcome =
  | { readonly kind: 'stored'; readonly stored: StoredLease }
  /** Somebody else was faster, or the object is gone. */
  | { readonly kind: 'conflict'; readonly found: StoredLease | undefined };

interface LeaseCall {
  readonly signal?: AbortSignal | undefined;
}

/** The lease as an object: reads it, and replaces exactly the version that was read. */
export class LeaseObject {
  readonly key: string;
  readonly #storage: Storage;

  constructor(storage: Storage, key: string) {
    this.#storage = storage;
    this.key = key;
  }

  get place(): string {
    return `${this.#storage.url}/${this.key}`;
  }

  async read({ signal }: LeaseCall = {}): Promise<StoredLease | undefined> {
    try {
      const { info, body } = await this.#storage.get(this.key, { signal });
      const bytes = await readAll(body, { sizeMaxBytes: LEASE_BYTES_MAX, key: this.key });
      // A store with conditional puts has version tags; without one every condition on it fails, which is safe.
      return { record: decodeLeaseRecord(bytes, this.place), etag: info.etag ?? '' };
    } catch (error) {
      if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /**
   * Puts `record` in the place of `expected` (undefined: of nothing). A failure that leaves open whether the put was done is
   * settled by reading back: a record of the same holding in another version can only be ours.
   */
  async put(
    record: LeaseRecord,
    { expected, signal }: LeaseCall & { readonly expected: StoredLease | undefined },
  ): Promise<LeasePutOutcome> {
    const condition = expected === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: expected.etag };
    try {
      const { etag } = await this.#storage.put(this.key, encodeLeaseRecord(record), { ...condition, signal });
      if (etag !== undefined) return { kind: 'stored', stored: { record, etag } };
    } catch (error) {
      const found = await this.read({ signal });
      if (found !== undefined && isSameHolding(found.record, record) && found.etag !== expected?.etag)
        return { kind: 'stored', stored: found };
      if (isConflict(error) || found?.etag !== expected?.etag) return { kind: 'conflict', found };
      throw error;
    }
    const found = await this.read({ signal });
    if (found !== undefined && isSameHolding(found.record, record)) return { kind: 'stored', stored: found };
    return { kind: 'conflict', found };
  }

  async delete({ signal }: LeaseCall = {}): Promise<void> {
    await this.#storage.delete([this.key], { signal });
  }
}

function isConflict(error: unknown): boolean {
  return (
    isStorageError(error, 'STORAGE_ALREADY_EXISTS') ||
    isStorageError(error, 'STORAGE_PRECONDITION_FAILED') ||
    isStorageError(error, 'STORAGE_NOT_FOUND')
  );
}

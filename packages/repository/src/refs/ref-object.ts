import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';
import { decodeRefRecord, encodeRefRecord, REF_BYTES_MAX, type RefRecord } from './ref-record.ts';

export interface StoredRef {
  readonly record: RefRecord;
  /** Version of the object. */
  readonly etag: string;
}

export interface RefCall {
  readonly signal?: AbortSignal | undefined;
}

/** One name as an object: read, and replaced only in the version that was read. */
export class RefObject {
  readonly key: string;
  readonly #storage: Storage;
  readonly #hasLsn: boolean;

  constructor(storage: Storage, key: string, { hasLsn }: { readonly hasLsn: boolean }) {
    this.#storage = storage;
    this.key = key;
    this.#hasLsn = hasLsn;
  }

  get place(): string {
    return `${this.#storage.url}/${this.key}`;
  }

  async read({ signal }: RefCall = {}): Promise<StoredRef | undefined> {
    try {
      const { info, body } = await this.#storage.get(this.key, { signal });
      const bytes = await readAll(body, { sizeMaxBytes: REF_BYTES_MAX, key: this.key });
      const record = decodeRefRecord(bytes, { place: this.place, hasLsn: this.#hasLsn });
      return { record, etag: info.etag ?? '' };
    } catch (error) {
      if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /**
   * Puts a record in the place of `expected` (undefined: of nothing). False when somebody was faster. A failure that leaves
   * open whether the put was done is settled by reading back.
   */
  async put(
    record: RefRecord,
    { expected, signal }: RefCall & { readonly expected: StoredRef | undefined },
  ): Promise<boolean> {
    const condition = expected === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: expected.etag };
    try {
      await this.#storage.put(this.key, encodeRefRecord(record), { ...condition, signal });
      return true;
    } catch (error) {
      const found = await this.read({ signal });
      if (found?.record.refId === record.refId) return true;
      if (isConflict(error) || found?.etag !== expected?.etag) return false;
      throw error;
    }
  }
}

function isConflict(error: unknown): boolean {
  return (
    isStorageError(error, 'STORAGE_ALREADY_EXISTS') ||
    isStorageError(error, 'STORAGE_PRECONDITION_FAILED') ||
    isStorageError(error, 'STORAGE_NOT_FOUND')
  );
}

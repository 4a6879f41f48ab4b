import { encodeIndexPart, INDEX_BYTES_MAX, type IndexPart } from '@neon-snapshot/neon-layer';
import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';
import { PageServerError } from '../page-server-error.ts';

/**
 * The index of the own generation. Each version replaces exactly the one before, where the storage can check that: a put that was
 * given up and arrives late then does nothing.
 */
export class IndexObject {
  readonly #storage: Storage;
  readonly #key: string;
  #etag: string | undefined;
  #isStored = false;

  constructor(storage: Storage, key: string) {
    this.#storage = storage;
    this.#key = key;
  }

  async put(index: IndexPart, signal: AbortSignal): Promise<void> {
    const bytes = encodeIndexPart(index);
    try {
      const { etag } = await this.#storage.put(this.#key, bytes, { ...this.#condition(), signal });
      this.#keep(etag);
    } catch (error) {
      const found = await this.#read(signal);
      if (found !== undefined && Buffer.compare(found.bytes, bytes) === 0) this.#keep(found.etag);
      else if (isConflict(error) && found?.etag !== this.#etag) throw foreignIndex(this.#key, error);
      else throw error;
    }
  }

  #condition(): { readonly ifMatch?: string; readonly ifNoneMatch?: '*' } {
    const { ifMatch, ifNoneMatch } = this.#storage.capability.conditionalPut;
    if (!this.#isStored) return ifNoneMatch ? { ifNoneMatch: '*' } : {};
    return ifMatch && this.#etag !== undefined ? { ifMatch: this.#etag } : {};
  }

  #keep(etag: string | undefined): void {
    this.#etag = etag;
    this.#isStored = true;
  }

  async #read(
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Uint8Array; readonly etag: string | undefined } | undefined> {
    try {
      const { info, body } = await this.#storage.get(this.#key, { signal });
      const bytes = await readAll(body, { sizeMaxBytes: INDEX_BYTES_MAX, key: this.#key });
      return { bytes, etag: info.etag };
    } catch (error) {
      if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
      throw error;
    }
  }
}

function isConflict(error: unknown): boolean {
  return (
    isStorageError(error, 'STORAGE_ALREADY_EXISTS') || isStorageError(error, 'STORAGE_PRECONDITION_FAILED')
  );
}

/** Nobody else writes under the own generation; where somebody does, the two must not go on both. */
function foreignIndex(key: string, cause: unknown): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_FENCED',
    operation: 'push',
    message: `${key} was written by somebody else under this page server's own generation; nothing more is published. Find out who writes there before it is started again`,
    context: { key },
    cause,
  });
}

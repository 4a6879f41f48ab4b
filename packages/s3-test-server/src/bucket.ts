import { randomUUID } from 'node:crypto';
import type { Blob } from './blob-store.ts';
import type { StoredChecksum } from './checksums.ts';

/** Reply headers that an object was stored with: content type, user metadata, encryption, storage class. */
export type ObjectHeaders = Readonly<Record<string, string>>;

export interface StoredObject {
  readonly blob: Blob;
  /** Without quotes. */
  readonly etag: string;
  readonly modifiedAt: Date;
  readonly headers: ObjectHeaders;
  readonly checksum: StoredChecksum | undefined;
}

export interface StoredPart {
  readonly blob: Blob;
  readonly etag: string;
  readonly checksum: StoredChecksum | undefined;
}

export interface MultipartUpload {
  readonly key: string;
  readonly headers: ObjectHeaders;
  readonly checksumAlgorithm: string | undefined;
  readonly parts: Map<number, StoredPart>;
}

/** Objects and uploads of one bucket. Changes are synchronous, so each is atomic. */
export class Bucket {
  readonly uploads = new Map<string, MultipartUpload>();
  readonly #objects = new Map<string, StoredObject>();
  #sortedKeys: readonly string[] | undefined;

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  set(key: string, object: StoredObject): void {
    if (!this.#objects.has(key)) this.#sortedKeys = undefined;
    // The replaced blob is left alone: a reader may still be on it.
    this.#objects.set(key, object);
  }

  delete(key: string): void {
    if (this.#objects.delete(key)) this.#sortedKeys = undefined;
  }

  /** All keys in byte order. */
  keys(): readonly string[] {
    this.#sortedKeys ??= [...this.#objects.keys()].sort(compareKeys);
    return this.#sortedKeys;
  }

  openUpload(upload: MultipartUpload): string {
    const id = randomUUID();
    this.uploads.set(id, upload);
    return id;
  }
}

/** Byte order of the UTF-8 forms. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

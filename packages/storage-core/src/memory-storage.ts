import {
  assertValidPut,
  assertValidRange,
  resolveRange,
  sizeMismatchError,
  throwIfAborted,
  unsupportedError,
} from './call-checks.ts';
import type { StorageCapability } from './capability.ts';
import { pageListing } from './list-pages.ts';
import { concatenate } from './read-all.ts';
import type {
  CallOptions,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  ObjectInfo,
  PutBody,
  PutOptions,
  PutResult,
  Storage,
} from './storage.ts';
import { StorageError, type StorageOperation } from './storage-error.ts';
import { assertValidKey, assertValidPrefix, compareKeys } from './storage-key.ts';

const PAGE_SIZE_MAX = 1000;
const CHUNK_SIZE_BYTES = 64 * 1024;
const MEMORY_CAPABILITY: StorageCapability = {
  conditionalPut: { ifNoneMatch: true, ifMatch: true },
  serverSideCopy: true,
  fileTree: false,
  consistency: 'strong',
  keyLengthMaxBytes: 1024,
  objectSizeMaxBytes: 2 ** 32,
  writable: true,
};

export interface MemoryStorageOptions {
  readonly url?: string;
  /** Facts that differ from a full-featured store, e.g. no conditional put. `fileTree` stays false. */
  readonly capability?: Partial<Omit<StorageCapability, 'fileTree'>>;
  /** Objects and prefixes a list page; default 1000. */
  readonly pageSizeMax?: number;
  readonly now?: () => Date;
}

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly info: ObjectInfo;
}

/** A complete store in this process' memory, for tests and for small scratch data. Bodies are copied in and out. */
export function createMemoryStorage(options: MemoryStorageOptions = {}): Storage {
  return new MemoryStorage(options);
}

class MemoryStorage implements Storage {
  readonly url: string;
  readonly capability: StorageCapability;
  readonly copy?: NonNullable<Storage['copy']>;
  readonly #objects = new Map<string, StoredObject>();
  readonly #pageSizeMax: number;
  readonly #now: () => Date;
  #sortedKeys: readonly string[] | undefined;
  #version = 0;

  constructor(options: MemoryStorageOptions) {
    this.url = options.url ?? 'memory://local';
    this.capability = { ...MEMORY_CAPABILITY, ...options.capability };
    this.#pageSizeMax = options.pageSizeMax ?? PAGE_SIZE_MAX;
    this.#now = options.now ?? (() => new Date());
    if (this.capability.serverSideCopy)
      this.copy = (from, to, copyOptions) => this.#copy(from, to, copyOptions);
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#lookUp(key, 'head', options.signal).info;
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    assertValidRange(options.range, key);
    const { bytes, info } = this.#lookUp(key, 'get', options.signal);
    const { offset, end } = resolveRange({ key, range: options.range, sizeBytes: bytes.byteLength });
    return { info, body: chunksOf({ bytes: bytes.subarray(offset, end), key, signal: options.signal }) };
  }

  async *list(options: ListOptions = {}): AsyncIterable<ListPage> {
    const prefix = options.prefix ?? '';
    assertValidPrefix(prefix);
    throwIfAborted(options.signal, { operation: 'list' });
    this.#sortedKeys ??= [...this.#objects.keys()].sort(compareKeys);
    const keys = this.#sortedKeys;
    const infos = function* (objects: ReadonlyMap<string, StoredObject>): Generator<ObjectInfo> {
      for (const key of keys) {
        const stored = objects.get(key);
        if (stored !== undefined) yield stored.info;
      }
    };
    yield* pageListing(infos(this.#objects), { ...options, prefix, pageSizeMax: this.#pageSizeMax });
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    const sizeBytes = body instanceof Uint8Array ? body.byteLength : undefined;
    assertValidPut({ url: this.url, capability: this.capability, key, sizeBytes, options });
    const bytes =
      body instanceof Uint8Array ? Uint8Array.from(body) : await this.#collect(key, body, options);
    throwIfAborted(options.signal, { operation: 'put', key });
    this.#assertCondition(key, options);
    return this.#store(key, bytes);
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) assertValidKey(key, { operation: 'delete' });
    if (!this.capability.writable) {
      throw unsupportedError({ operation: 'delete', url: this.url, what: 'deleting' });
    }
    throwIfAborted(options.signal, { operation: 'delete' });
    for (const key of keys) this.#objects.delete(key);
    this.#sortedKeys = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#objects.clear();
    this.#sortedKeys = undefined;
  }

  async #copy(from: string, to: string, options: CallOptions = {}): Promise<PutResult> {
    const { bytes } = this.#lookUp(from, 'copy', options.signal);
    const { url, capability } = this;
    assertValidPut({ url, capability, key: to, sizeBytes: bytes.byteLength, options: {} });
    return this.#store(to, bytes);
  }

  #lookUp(key: string, operation: StorageOperation, signal: AbortSignal | undefined): StoredObject {
    assertValidKey(key, { operation, keyLengthMaxBytes: this.capability.keyLengthMaxBytes });
    throwIfAborted(signal, { operation, key });
    const stored = this.#objects.get(key);
    if (stored !== undefined) return stored;
    throw new StorageError({
      code: 'STORAGE_NOT_FOUND',
      operation,
      message: `there is no object ${key} in ${this.url}`,
      key,
    });
  }

  async #collect(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let foundBytes = 0;
    for await (const chunk of body) {
      throwIfAborted(options.signal, { operation: 'put', key });
      // Not `slice`: that of a Buffer is a view.
      chunks.push(Uint8Array.from(chunk));
      foundBytes += chunk.byteLength;
    }
    const expectedBytes = key.endsWith('/') ? 0 : options.sizeBytes;
    if (expectedBytes !== undefined && expectedBytes !== foundBytes) {
      throw sizeMismatchError({ key, expectedBytes, foundBytes });
    }
    return concatenate(chunks, foundBytes);
  }

  #assertCondition(key: string, options: PutOptions): void {
    const existing = this.#objects.get(key);
    if (options.ifNoneMatch !== undefined && existing !== undefined) {
      throw new StorageError({
        code: 'STORAGE_ALREADY_EXISTS',
        operation: 'put',
        message: `${key} exists already in ${this.url}`,
        key,
      });
    }
    if (options.ifMatch !== undefined && existing?.info.etag !== options.ifMatch) {
      throw new StorageError({
        code: 'STORAGE_PRECONDITION_FAILED',
        operation: 'put',
        message: `${key} in ${this.url} is no longer the version ${options.ifMatch}`,
        key,
        context: { expectedEtag: options.ifMatch, foundEtag: existing?.info.etag },
      });
    }
  }

  #store(key: string, bytes: Uint8Array): PutResult {
    this.#version += 1;
    const etag = `v${this.#version}`;
    const info: ObjectInfo = { key, sizeBytes: bytes.byteLength, etag, modifiedAt: this.#now() };
    if (!this.#objects.has(key)) this.#sortedKeys = undefined;
    this.#objects.set(key, { bytes, info });
    return { etag, sizeBytes: bytes.byteLength };
  }
}

async function* chunksOf(source: {
  readonly bytes: Uint8Array;
  readonly key: string;
  readonly signal: AbortSignal | undefined;
}): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < source.bytes.byteLength; offset += CHUNK_SIZE_BYTES) {
    throwIfAborted(source.signal, { operation: 'get', key: source.key });
    yield source.bytes.slice(offset, offset + CHUNK_SIZE_BYTES);
  }
}

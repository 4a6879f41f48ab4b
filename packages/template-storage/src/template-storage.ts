import {
  assertValidKey,
  assertValidPrefix,
  assertValidPut,
  assertValidRange,
  type CallOptions,
  type GetOptions,
  type GetResult,
  type ListOptions,
  type ListPage,
  type ObjectInfo,
  type PutBody,
  type PutOptions,
  type PutResult,
  pageListing,
  readAll,
  resolveRange,
  type Storage,
  type StorageCapability,
  StorageError,
  type StorageOperation,
  sizeMismatchError,
  throwIfAborted,
  unsupportedError,
} from '@neon-snapshot/storage-core';
import type { ObjectClient, StoredObject } from './object-client.ts';

const OBJECT_BYTES_MAX = 256 * 1024 * 1024;
const PAGE_SIZE_MAX = 1000;
const CHUNK_BYTES = 64 * 1024;

export interface TemplateStorageOptions {
  readonly client: ObjectClient;
  readonly url: string;
  readonly isWritable: boolean;
}

/** The port on the service's own calls. What the service cannot do, its capability says. */
export class TemplateStorage implements Storage {
  readonly url: string;
  readonly capability: StorageCapability;
  readonly #client: ObjectClient;

  constructor({ client, url, isWritable }: TemplateStorageOptions) {
    this.#client = client;
    this.url = url;
    this.capability = {
      conditionalPut: { ifNoneMatch: true, ifMatch: true },
      serverSideCopy: false,
      fileTree: false,
      consistency: 'strong',
      keyLengthMaxBytes: 1024,
      objectSizeMaxBytes: OBJECT_BYTES_MAX,
      writable: isWritable,
    };
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return infoOf(key, await this.#read(key, 'head', options.signal));
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    assertValidRange(options.range, key);
    const stored = await this.#read(key, 'get', options.signal);
    const { offset, end } = resolveRange({ key, range: options.range, sizeBytes: stored.bytes.length });
    return { info: infoOf(key, stored), body: chunksOf(key, stored.bytes.subarray(offset, end), options) };
  }

  async *list(options: ListOptions = {}): AsyncIterable<ListPage> {
    const prefix = options.prefix ?? '';
    assertValidPrefix(prefix);
    throwIfAborted(options.signal, { operation: 'list' });
    const client = this.#client;
    const infos = async function* () {
      for (const key of await client.keys(prefix)) {
        const stored = await client.read(key);
        if (stored !== undefined) yield infoOf(key, stored);
      }
    };
    yield* pageListing(infos(), { ...options, prefix, pageSizeMax: PAGE_SIZE_MAX });
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    const known = body instanceof Uint8Array ? body.length : undefined;
    assertValidPut({ url: this.url, capability: this.capability, key, sizeBytes: known, options });
    // A service that takes streams gets one here instead.
    const bytes = body instanceof Uint8Array ? body : await this.#collect(key, body, options);
    throwIfAborted(options.signal, { operation: 'put', key });
    const stored = await this.#client.write(key, bytes, (found) => isExpected(found, options));
    if (stored === false) throw conflict(key, options);
    return { sizeBytes: bytes.length, etag: stored.version };
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) assertValidKey(key, { operation: 'delete' });
    if (!this.capability.writable)
      throw unsupportedError({ operation: 'delete', url: this.url, what: 'deleting' });
    throwIfAborted(options.signal, { operation: 'delete' });
    await this.#client.remove(keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Close the connections of the service here.
  }

  async #read(
    key: string,
    operation: StorageOperation,
    signal: AbortSignal | undefined,
  ): Promise<StoredObject> {
    assertValidKey(key, { operation, keyLengthMaxBytes: this.capability.keyLengthMaxBytes });
    throwIfAborted(signal, { operation, key });
    const stored = await this.#client.read(key);
    if (stored !== undefined) return stored;
    throw new StorageError({
      code: 'STORAGE_NOT_FOUND',
      operation,
      key,
      message: `there is no ${key} in ${this.url}`,
    });
  }

  async #collect(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<Uint8Array> {
    const checked = async function* () {
      for await (const chunk of body) {
        throwIfAborted(options.signal, { operation: 'put', key });
        // A copy: the producer may use the chunk again.
        yield Uint8Array.from(chunk);
      }
    };
    const bytes = await readAll(checked(), { sizeMaxBytes: OBJECT_BYTES_MAX, key });
    if (options.sizeBytes !== undefined && options.sizeBytes !== bytes.length)
      throw sizeMismatchError({ key, expectedBytes: options.sizeBytes, foundBytes: bytes.length });
    return bytes;
  }
}

function isExpected(found: StoredObject | undefined, { ifNoneMatch, ifMatch }: PutOptions): boolean {
  if (ifNoneMatch !== undefined) return found === undefined;
  return ifMatch === undefined || found?.version === ifMatch;
}

function conflict(key: string, { ifNoneMatch }: PutOptions): StorageError {
  return new StorageError({
    code: ifNoneMatch === undefined ? 'STORAGE_PRECONDITION_FAILED' : 'STORAGE_ALREADY_EXISTS',
    operation: 'put',
    key,
    message:
      ifNoneMatch === undefined
        ? `${key} has changed; nothing was stored`
        : `${key} exists; nothing was stored`,
  });
}

function infoOf(key: string, { bytes, version, modifiedAt }: StoredObject): ObjectInfo {
  return { key, sizeBytes: bytes.length, etag: version, modifiedAt };
}

/** Copies, which belong to the receiver. */
async function* chunksOf(
  key: string,
  bytes: Uint8Array,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) {
    throwIfAborted(signal, { operation: 'get', key });
    yield bytes.slice(offset, offset + CHUNK_BYTES);
  }
}

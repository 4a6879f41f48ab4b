import { randomUUID } from 'node:crypto';
import {
  assertValidKey,
  assertValidPrefix,
  assertValidPut,
  assertValidRange,
  type CallOptions,
  createRedactor,
  type GetOptions,
  type GetResult,
  type ListOptions,
  type ListPage,
  type ObjectInfo,
  type PutBody,
  type PutOptions,
  type PutResult,
  type Storage,
  type StorageCapability,
  throwIfAborted,
  unsupportedError,
} from '@neon-snapshot/storage-core';
import { createClient } from './client.ts';
import { resolveConfig, type S3Config } from './config.ts';
import type { S3Context } from './context.ts';
import { copyObject } from './copy.ts';
import { deleteObjects } from './delete.ts';
import { getObject } from './get.ts';
import { headObject } from './head.ts';
import { listObjects } from './list.ts';
import type { S3StorageOptions } from './options.ts';
import { createPartMemory } from './part-memory.ts';
import { putObject } from './put.ts';
import { createRequester } from './requester.ts';
import { type RetryClock, systemClock } from './retry.ts';

const KEY_LENGTH_MAX_BYTES = 1024;
const OBJECT_SIZE_MAX_BYTES = 5 * 2 ** 40;
/** Parts in flight of all puts together, in multiples of one put's. */
const PARTS_IN_FLIGHT_FACTOR = 2;

/** Opens a storage; makes no request. */
export async function open(options: S3StorageOptions, clock: RetryClock = systemClock): Promise<Storage> {
  const config = resolveConfig(options);
  const { client, credentials } = await createClient(options, config);
  const { secretAccessKey, sessionToken } = options.credentials ?? {};
  const secrets = [secretAccessKey, sessionToken].filter((secret) => secret !== undefined);
  const requester = createRequester({
    client,
    facts: {
      url: config.url,
      bucket: config.bucket,
      endpoint: config.endpoint ?? 'AWS',
      credentials,
      redact: createRedactor(secrets),
    },
    retry: config,
    clock,
  });
  return new S3Storage({
    config,
    requester,
    memory: createPartMemory({
      partSizeBytes: config.partSizeBytes,
      slots: config.concurrency * PARTS_IN_FLIGHT_FACTOR,
    }),
    dialect: { ifMatchQuoted: true, hasDeleteObjects: true, bucketSeen: false },
    newWriteId: randomUUID,
  });
}

class S3Storage implements Storage {
  readonly url: string;
  readonly capability: StorageCapability;
  readonly #context: S3Context;

  constructor(context: S3Context) {
    this.#context = context;
    this.url = context.config.url;
    this.capability = capabilityOf(context.config);
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo> {
    this.#assertKey(key, 'head', options.signal);
    return headObject(this.#context, key, options.signal);
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    this.#assertKey(key, 'get', options.signal);
    assertValidRange(options.range, key);
    return getObject(this.#context, key, options);
  }

  async *list(options: ListOptions = {}): AsyncIterable<ListPage> {
    assertValidPrefix(options.prefix ?? '');
    yield* listObjects(this.#context, options);
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    const sizeBytes = body instanceof Uint8Array ? body.byteLength : undefined;
    assertValidPut({ url: this.url, capability: this.capability, key, sizeBytes, options });
    return putObject(this.#context, key, body, options);
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    this.#assertWritable('delete', 'deleting');
    for (const key of keys) this.#assertKey(key, 'delete', options.signal);
    await deleteObjects(this.#context, keys, options.signal);
  }

  async copy(from: string, to: string, options: CallOptions = {}): Promise<PutResult> {
    this.#assertWritable('copy', 'copying');
    this.#assertKey(from, 'copy', options.signal);
    this.#assertKey(to, 'copy', options.signal);
    return copyObject(this.#context, from, to, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#context.requester.close();
  }

  #assertKey(
    key: string,
    operation: 'head' | 'get' | 'delete' | 'copy',
    signal: AbortSignal | undefined,
  ): void {
    assertValidKey(key, { operation, keyLengthMaxBytes: this.capability.keyLengthMaxBytes });
    throwIfAborted(signal, { operation, key });
  }

  #assertWritable(operation: 'delete' | 'copy', what: string): void {
    if (!this.capability.writable) throw unsupportedError({ operation, url: this.url, what });
  }
}

function capabilityOf(config: S3Config): StorageCapability {
  return {
    conditionalPut: { ifNoneMatch: config.conditionalPut, ifMatch: config.conditionalPut },
    serverSideCopy: true,
    fileTree: false,
    consistency: 'strong',
    keyLengthMaxBytes: KEY_LENGTH_MAX_BYTES - Buffer.byteLength(config.keyPrefix),
    objectSizeMaxBytes: OBJECT_SIZE_MAX_BYTES,
    writable: config.access === 'write',
  };
}

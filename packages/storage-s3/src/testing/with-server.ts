import {
  type S3TestServer,
  type S3TestServerOptions,
  startS3TestServer,
} from '@neon-snapshot/s3-test-server';
import { isStorageError, readAll, type Storage, type StorageError } from '@neon-snapshot/storage-core';
import type { S3StorageOptions } from '../options.ts';
import type { RetryClock } from '../retry.ts';
import { open } from '../s3-storage.ts';

const BUCKET = 'bucket';
export const MIB = 2 ** 20;

export interface ServedStorage extends AsyncDisposable {
  readonly server: S3TestServer;
  readonly storage: Storage;
  /** Waits that the storage asked for, in milliseconds; none of them is waited. */
  readonly delays: readonly number[];
}

/** A storage on a fresh test server, with a clock that does not wait and a chance of one half. */
export async function serve(
  options: Partial<S3StorageOptions> = {},
  serverOptions: S3TestServerOptions = {},
): Promise<ServedStorage> {
  const server = await startS3TestServer({ buckets: [BUCKET], ...serverOptions });
  const delays: number[] = [];
  const clock: RetryClock = {
    random: () => 0.5,
    sleep: async (delayMs, signal) => {
      signal?.throwIfAborted();
      delays.push(delayMs);
    },
  };
  const storage = await open({ ...optionsFor(server), ...options }, clock);
  return {
    server,
    storage,
    delays,
    async [Symbol.asyncDispose]() {
      await storage[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export function optionsFor(server: S3TestServer): S3StorageOptions {
  return {
    bucket: BUCKET,
    endpoint: server.endpoint,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
  };
}

/** Bytes that differ at neighbouring positions, parts and pages. */
export function pattern(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let state = seed;
  for (let offset = 0; offset + 4 <= sizeBytes; offset += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, offset);
  }
  return bytes;
}

/** The bytes as a stream of chunks whose size divides nothing. */
export async function* chunked(bytes: Uint8Array, chunkSizeBytes = 700_001): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.byteLength; offset += chunkSizeBytes)
    yield bytes.subarray(offset, offset + chunkSizeBytes);
}

export async function readWhole(
  storage: Storage,
  key: string,
  range?: { readonly offset: number; readonly length?: number },
): Promise<Uint8Array> {
  const { body } = await storage.get(key, range === undefined ? {} : { range });
  return readAll(body, { sizeMaxBytes: 512 * MIB, key });
}

/** The StorageError that the work rejects with. */
export async function failureOf(work: Promise<unknown>): Promise<StorageError> {
  const outcome = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (isStorageError(outcome)) return outcome;
  throw outcome;
}

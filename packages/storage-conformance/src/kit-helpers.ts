import { isStorageError, readAll, type Storage, type StorageErrorCode } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import type { OpenedStorage, StorageKitOptions } from './kit-options.ts';

const READ_SIZE_MAX_BYTES = 64 * 1024 * 1024;

/**
 * Defines one test on a fresh location. Its storage shows every change at once, also where the store itself needs time to settle:
 * that one is `opened.storage`.
 */
export type KitTest = (
  name: string,
  run: (storage: Storage, opened: OpenedStorage) => Promise<void>,
  options?: { readonly timeoutFactor: number },
) => void;

const TIMEOUT_MS = 30_000;

export function createKitTest(options: StorageKitOptions): KitTest {
  return (name, run, { timeoutFactor } = { timeoutFactor: 1 }) => {
    test(name, { timeout: (options.timeoutMs ?? TIMEOUT_MS) * timeoutFactor }, async () => {
      const opened = await options.open();
      try {
        await run(settledStorage(opened), opened);
      } finally {
        await opened.cleanup();
      }
    });
  };
}

/** A storage whose changes return only when they can be seen. */
function settledStorage({ storage, settle }: OpenedStorage): Storage {
  if (settle === undefined) return storage;
  const { copy } = storage;
  const afterwards = async <Result>(change: Promise<Result>): Promise<Result> => {
    const result = await change;
    await settle();
    return result;
  };
  return {
    url: storage.url,
    capability: storage.capability,
    head: (key, call) => storage.head(key, call),
    get: (key, call) => storage.get(key, call),
    list: (call) => storage.list(call),
    put: (key, body, call) => afterwards(storage.put(key, body, call)),
    delete: (keys, call) => afterwards(storage.delete(keys, call)),
    ...(copy === undefined
      ? {}
      : { copy: (from, to, call) => afterwards(copy.call(storage, from, to, call)) }),
    ...(storage.fileTree === undefined ? {} : { fileTree: storage.fileTree }),
    [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
  };
}

/** Expects exactly this typed error. */
export async function expectStorageError(work: Promise<unknown>, code: StorageErrorCode): Promise<void> {
  const outcome = await work.then(
    () => 'no error',
    (error: unknown) => (isStorageError(error) ? error.code : error),
  );
  expect(outcome).toBe(code);
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Bytes that differ at every position within 251, so that a shifted or repeated chunk is noticed. */
export function patternBytes(sizeBytes: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let index = 0; index < sizeBytes; index++) bytes[index] = (index + seed + (index >> 8)) % 251;
  return bytes;
}

export async function readObject(
  storage: Storage,
  key: string,
  range?: { readonly offset: number; readonly length?: number },
): Promise<Uint8Array> {
  const { body } = await storage.get(key, range === undefined ? {} : { range });
  // A backend may hand out Buffers, which an equality check tells from plain arrays.
  return new Uint8Array(await readAll(body, { sizeMaxBytes: READ_SIZE_MAX_BYTES, key }));
}

export async function* streamOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

export async function listKeys(
  storage: Storage,
  options: Parameters<Storage['list']>[0] = {},
): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of storage.list(options)) keys.push(...page.objects.map((info) => info.key));
  return keys;
}

export async function listPrefixes(
  storage: Storage,
  options: Parameters<Storage['list']>[0],
): Promise<string[]> {
  const prefixes: string[] = [];
  for await (const page of storage.list(options)) prefixes.push(...page.prefixes);
  return prefixes;
}

export async function putAll(storage: Storage, keys: readonly string[], concurrency = 16): Promise<void> {
  const pending = [...keys];
  const lane = async () => {
    for (let key = pending.pop(); key !== undefined; key = pending.pop())
      await storage.put(key, bytesOf(key));
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}

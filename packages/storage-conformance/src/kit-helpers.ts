import { isStorageError, readAll, type Storage, type StorageErrorCode } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import type { StorageKitOptions } from './kit-options.ts';

const READ_SIZE_MAX_BYTES = 64 * 1024 * 1024;

/** Defines one test on a fresh location. */
export type KitTest = (name: string, run: (storage: Storage) => Promise<void>) => void;

export function createKitTest(options: StorageKitOptions): KitTest {
  return (name, run) => {
    test(name, { timeout: options.timeoutMs ?? 30_000 }, async () => {
      const opened = await options.open();
      try {
        await run(opened.storage);
      } finally {
        await opened.cleanup();
      }
    });
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

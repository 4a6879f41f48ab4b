import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  copySnapshot,
  createFormatServices,
  describeSource,
  isFormatError,
} from '@neon-snapshot/format-core';
import { plugin as neon } from '@neon-snapshot/format-neon';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { createMemoryStorage, isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';

export type ExportOutcome =
  | {
      readonly kind: 'error';
      readonly code: string;
      readonly message: string;
      readonly leftKeys: readonly string[];
    }
  /** SHA-256 of every file by path. */
  | { readonly kind: 'files'; readonly digests: ReadonlyMap<string, string> };

const FILE_BYTES_MAX = 64 * 1024 * 1024;
const CONCURRENCY = 2;

/**
 * Exports the only timeline of a bucket into memory, as `neon export` does. Rejects with what is not one of the typed errors,
 * and when it takes longer than `timeoutMs`.
 */
export async function exportInProcess(
  storage: Storage,
  options: { readonly timeoutMs: number },
): Promise<ExportOutcome> {
  const destination = createMemoryStorage();
  const timer = new AbortController();
  const late = sleep(options.timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`the export hangs: nothing came of it in ${options.timeoutMs} ms`);
  });
  try {
    await Promise.race([copyInto(storage, destination), late]);
    return { kind: 'files', digests: await digestAll(destination) };
  } catch (error) {
    if (!isFormatError(error) && !isStorageError(error)) throw error;
    return { kind: 'error', code: error.code, message: error.message, leftKeys: await keysOf(destination) };
  } finally {
    timer.abort();
    await late.catch(() => undefined);
  }
}

async function copyInto(storage: Storage, destination: Storage): Promise<void> {
  const services = createFormatServices({
    openStorage: () => Promise.reject(new Error('the fixture has one location')),
    warn: () => undefined,
  });
  const shared = { options: {}, services, concurrency: CONCURRENCY };
  await using reader = await neon.openReader({ ...shared, storage });
  const source = describeSource(reader, neon.name);
  const writer = await pgdata.openWriter({ ...shared, storage: destination, source });
  await copySnapshot({ reader, writer, concurrency: CONCURRENCY });
}

async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of storage.list()) keys.push(...page.objects.map(({ key }) => key));
  return keys;
}

async function digestAll(storage: Storage): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const key of await keysOf(storage)) {
    const { body } = await storage.get(key);
    const bytes = await readAll(body, { sizeMaxBytes: FILE_BYTES_MAX, key });
    digests.set(key, createHash('sha256').update(bytes).digest('hex'));
  }
  return digests;
}

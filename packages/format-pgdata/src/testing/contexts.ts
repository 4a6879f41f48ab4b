import {
  copySnapshot,
  createFormatServices,
  describeSource,
  type FormatOptions,
  type FormatServices,
  type ReadContext,
  type SnapshotReader,
  type WriteContext,
} from '@neon-snapshot/format-core';
import { type Storage, StorageError } from '@neon-snapshot/storage-core';
import { plugin } from '../plugin.ts';

export interface TestServices {
  readonly services: FormatServices;
  readonly warnings: string[];
}

/** Services without further locations; what is warned about is kept. */
export function memoryServices(): TestServices {
  const warnings: string[] = [];
  const services = createFormatServices({
    openStorage: async (url) => {
      throw new StorageError({ code: 'STORAGE_NOT_FOUND', operation: 'open', message: `there is no ${url}` });
    },
    warn: (message) => warnings.push(message),
  });
  return { services, warnings };
}

export interface EndOptions {
  readonly storage: Storage;
  readonly services?: FormatServices;
  readonly options?: FormatOptions;
  readonly signal?: AbortSignal;
  readonly concurrency?: number;
}

export function readContext(end: EndOptions): ReadContext {
  return {
    storage: end.storage,
    options: end.options ?? {},
    services: end.services ?? memoryServices().services,
    signal: end.signal,
    concurrency: end.concurrency ?? 4,
  };
}

export function writeContext(end: EndOptions, reader: SnapshotReader): WriteContext {
  return { ...readContext(end), source: describeSource(reader, 'pgdata') };
}

/** pgdata to pgdata. */
export async function copyDirectory(from: EndOptions, to: EndOptions) {
  const context = readContext(from);
  await using reader = await plugin.openReader(context);
  const writer = await plugin.openWriter(writeContext(to, reader));
  return await copySnapshot({ reader, writer, concurrency: context.concurrency, signal: to.signal });
}

/** Every object of a storage, by key. */
export async function readStorage(storage: Storage): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>();
  for await (const { objects } of storage.list()) {
    for (const { key, linkTarget } of objects) {
      if (key.endsWith('/') || linkTarget !== undefined) {
        contents.set(key, Buffer.from(linkTarget ?? ''));
        continue;
      }
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await storage.get(key)).body) chunks.push(chunk);
      contents.set(key, Buffer.concat(chunks));
    }
  }
  return contents;
}

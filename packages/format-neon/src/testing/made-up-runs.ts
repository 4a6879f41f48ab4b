import {
  copySnapshot,
  describeSource,
  type FormatOptions,
  type SnapshotReader,
} from '@neon-snapshot/format-core';
import { createMemoryStorage, readAll, type Storage } from '@neon-snapshot/storage-core';
import { plugin } from '../plugin.ts';
import { type MadeUpOptions, makeSnapshot } from './made-up-snapshot.ts';
import { testServices } from './services.ts';

/** The ids of every made-up import that does not choose its own. */
export const TENANT = 'a'.repeat(32);
export const TIMELINE = 'b'.repeat(32);
export const IDS: FormatOptions = { tenant_id: TENANT, timeline_id: TIMELINE };

/** Imports a snapshot, as the commands do it. */
export async function write(
  reader: SnapshotReader,
  storage: Storage,
  options: FormatOptions = IDS,
  signal?: AbortSignal,
  { clockOffsetMs = 0, concurrency = 2 } = {},
) {
  const { services, warnings } = testServices({ clockOffsetMs });
  const source = describeSource(reader, 'made-up');
  const writer = await plugin.openWriter({ storage, options, services, concurrency, source, signal });
  const result = await copySnapshot({ reader, writer, concurrency, signal });
  return { result, warnings };
}

/** A storage with one made-up import. */
export async function imported(options: MadeUpOptions = {}): Promise<Storage> {
  const storage = createMemoryStorage();
  await write(makeSnapshot(options).reader, storage);
  return storage;
}

export async function openReader(storage: Storage, options: FormatOptions = {}): Promise<SnapshotReader> {
  return plugin.openReader({ storage, options, services: testServices().services, concurrency: 2 });
}

/** All files of an export, by path. */
export async function readFiles(
  storage: Storage,
  options: FormatOptions = {},
): Promise<Map<string, Uint8Array>> {
  await using reader = await openReader(storage, options);
  const files = new Map<string, Uint8Array>();
  for (const partition of reader.partitions(3)) {
    for await (const entry of partition.entries) {
      if (entry.kind === 'file') files.set(entry.path, await readAll(entry.body, { sizeMaxBytes: 2 ** 30 }));
    }
  }
  return files;
}

export async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of storage.list()) keys.push(...page.objects.map(({ key }) => key));
  return keys;
}

export async function bytesOf(storage: Storage, key: string): Promise<Uint8Array> {
  return readAll((await storage.get(key)).body, { sizeMaxBytes: 2 ** 30 });
}

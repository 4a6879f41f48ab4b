import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';

/** A whole timeline that a real page server wrote, as it lies in its bucket. */
export const FIXTURE_DIRECTORY = path.resolve(
  import.meta.dirname,
  '../../../neon-layer/fixtures/pg17-bootstrap/storage',
);

export interface FixtureBucket {
  readonly storage: Storage;
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly indexKey: string;
  /** Keys of the layer files, in byte order. */
  readonly layerKeys: readonly string[];
}

/** The fixture in memory. */
export async function openFixtureBucket(): Promise<FixtureBucket> {
  const storage = createMemoryStorage();
  const objects = new Map<string, Uint8Array>();
  for (const entry of readdirSync(FIXTURE_DIRECTORY, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const bytes = new Uint8Array(readFileSync(file));
    const key = path.relative(FIXTURE_DIRECTORY, file);
    objects.set(key, bytes);
    await storage.put(key, bytes);
  }
  const keys = [...objects.keys()].sort();
  const indexKey = keys.find((key) => key.includes('index_part.json')) ?? '';
  return { storage, objects, indexKey, layerKeys: keys.filter((key) => key !== indexKey) };
}

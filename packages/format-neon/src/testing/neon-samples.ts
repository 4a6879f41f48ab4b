import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';

/*
 * Timelines written by a real Neon page server. The small one is part of the repository, the large ones lie beside it on
 * machines that have them; on CI they must be there.
 */

export const SAMPLES_DIRECTORY: string = fileURLToPath(
  new URL('../../../../../shared/data/neon/', import.meta.url),
);
const FIXTURE_DIRECTORY = fileURLToPath(
  new URL('../../../neon-layer/fixtures/pg17-bootstrap/', import.meta.url),
);

export const HAS_SAMPLES: boolean = existsSync(SAMPLES_DIRECTORY) || process.env.CI === 'true';
/** Stands in the name of a skipped suite. */
export const SAMPLES_NOTE: string = HAS_SAMPLES ? '' : ' [skipped: ../shared/data/neon is not there]';

export interface SampleFacts {
  readonly major: number;
  readonly systemIdentifier: string;
  readonly tenant: string;
  readonly timelines: Readonly<Record<string, string>>;
  readonly phases: readonly SamplePhase[];
}

export interface SamplePhase {
  readonly name: string;
  readonly lsn: string;
  readonly databases: Readonly<Record<string, SampleDatabase>>;
}

export interface SampleDatabase {
  readonly tables: Readonly<Record<string, { readonly rows: number; readonly md5: string }>>;
  /** `public.s1=72,…`: last values, `-` before the first. */
  readonly sequences: string;
  /** Pages of large objects, and the md5 of what they hold where there are any. */
  readonly largeObjects: string;
  /** Names, comma-separated. */
  readonly preparedTransactions: string;
}

export function sampleFacts(name: string): SampleFacts {
  return JSON.parse(readFileSync(join(SAMPLES_DIRECTORY, name, 'expected.json'), 'utf8'));
}

/** Rows of one of a sample's gzipped, tab-separated listings. */
export function sampleListing(name: string, listing: string): string[][] {
  const path = join(SAMPLES_DIRECTORY, name, 'expected', `${listing}.tsv.gz`);
  const lines = gunzipSync(readFileSync(path)).toString('utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => line.split('\t'));
}

/** A copy of a sample's storage. */
export function sampleStorage(name: string): Promise<Storage> {
  return copyToMemory(join(SAMPLES_DIRECTORY, name, 'storage'));
}

/** A copy of the storage that is part of the repository. */
export function fixtureStorage(): Promise<Storage> {
  return copyToMemory(FIXTURE_DIRECTORY);
}

async function copyToMemory(directory: string): Promise<Storage> {
  const storage = createMemoryStorage();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const key = relative(directory, path);
    await storage.put(key.slice(Math.max(0, key.indexOf('tenants/'))), readFileSync(path));
  }
  return storage;
}

/** Timelines written by a real Neon page server, with what it said of them; they lie beside the repository, and on CI they must be there. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import {
  compareKeys,
  keyFromHex,
  loadTimeline,
  type TimelineSource,
  TimelineView,
} from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import { type Lsn, parseLsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';

export const SAMPLES_DIRECTORY: string = fileURLToPath(
  new URL('../../../../../shared/data/neon/', import.meta.url),
);

export const HAS_SAMPLES: boolean = existsSync(SAMPLES_DIRECTORY) || process.env.CI === 'true';
/** Stands in the name of a skipped suite. */
export const SAMPLES_NOTE: string = HAS_SAMPLES ? '' : ' [skipped: ../shared/data/neon is not there]';

export interface SampleFacts {
  readonly major: number;
  readonly tenant: string;
  readonly timelines: Readonly<Record<string, string>>;
  readonly phases: readonly { readonly name: string; readonly lsn: string }[];
}

export function sampleFacts(sample: string): SampleFacts {
  return JSON.parse(readFileSync(join(SAMPLES_DIRECTORY, sample, 'expected.json'), 'utf8'));
}

export function phaseLsn(sample: string, phase: string): Lsn {
  const found = sampleFacts(sample).phases.find(({ name }) => name === phase);
  if (found === undefined) throw new RangeError(`${sample} has no phase ${phase}`);
  return parseLsn(found.lsn);
}

/** A copy of a sample's storage. */
export async function sampleStorage(sample: string): Promise<Storage> {
  const directory = join(SAMPLES_DIRECTORY, sample, 'storage');
  const storage = createMemoryStorage();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    await storage.put(relative(directory, path), readFileSync(path));
  }
  return storage;
}

/** A point of a sample at which every value is listed. */
export interface SamplePoint {
  readonly sample: string;
  readonly timeline: string;
  readonly phase: string;
}

/** The keys that a page server said are live, as ranges without gap between two. */
export function sampleKeyspace({
  sample,
  timeline,
  phase,
}: SamplePoint): readonly (readonly [string, string])[] {
  const path = join(SAMPLES_DIRECTORY, sample, 'expected', `keyspace-${timeline}-${phase}.json`);
  const { keys }: { keys: [string, string][] } = JSON.parse(readFileSync(path, 'utf8'));
  return keys.filter(([start, end]) => start !== end);
}

/** Key, bytes and first half of the SHA-256 of every value. */
export type ValueRow = readonly [key: string, length: string, digest: string];

export function listedValues({ sample, timeline, phase }: SamplePoint): readonly ValueRow[] {
  const path = join(SAMPLES_DIRECTORY, sample, 'expected', `values-${timeline}-${phase}.tsv.gz`);
  const lines = gunzipSync(readFileSync(path)).toString('utf8').split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [key = '', length = '', digest = ''] = line.split('\t');
      return [key, length, digest] as const;
    })
    .sort((a, b) => compareKeys(keyFromHex(a[0]), keyFromHex(b[0])));
}

/** The listed values that the storage does not give at that point. */
export async function wrongValues(storage: Storage, point: SamplePoint): Promise<readonly ValueRow[]> {
  const { tenant, timelines } = sampleFacts(point.sample);
  const timelineId = timelines[point.timeline] ?? '';
  return wrongValuesOf(storage, await loadTimeline(storage, { tenant, timelineId }), point);
}

/** {@link wrongValues} of a timeline that was loaded. */
export async function wrongValuesOf(
  storage: Storage,
  source: TimelineSource,
  point: SamplePoint,
): Promise<readonly ValueRow[]> {
  const rows = listedValues(point);
  const redo = createValueRedo(sampleFacts(point.sample).major);
  const lsn = phaseLsn(point.sample, point.phase);
  const view = await TimelineView.open(storage, source, { lsn, redo });
  const values = await view.getMany(rows.map(([key]) => keyFromHex(key)));
  view.close();
  return rows.filter(([, length, digest], i) => {
    const value = values[i];
    if (value === undefined) return true;
    const found = createHash('sha256').update(value).digest('hex').slice(0, digest.length);
    return String(value.length) !== length || found !== digest;
  });
}

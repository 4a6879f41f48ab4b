/*
 * Clusters whose WAL a real page server ingested, with what it then answered. They lie beside the repository on machines that
 * have them; on CI they must be there.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  encodeDbDirectory,
  encodeIndexPart,
  encodeRelDirectory,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  type IndexPart,
  indexObjectKey,
  keyFromHex,
  loadTimeline,
  openTimelineView,
  parseKey,
  type TimelineView,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import { type Lsn, lsn, parseLsn, WAL_SEGMENT_SIZE_DEFAULT } from '@neon-snapshot/postgres';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';

const SAMPLES_DIRECTORY = fileURLToPath(new URL('../../../../../shared/data/neon/', import.meta.url));
/** Whether tests on the samples run. */
export const HAS_SAMPLES: boolean = existsSync(SAMPLES_DIRECTORY) || process.env.CI === 'true';
/** Stands in the name of a skipped suite. */
export const SAMPLES_NOTE: string = HAS_SAMPLES ? '' : ' [skipped: ../shared/data/neon is not there]';

const OBJECT_BYTES_MAX = 1024 * 1024 * 1024;

/** A moment at which the real page server listed every value. */
export interface SamplePhase {
  readonly name: string;
  readonly lsn: Lsn;
  /** Its own layers at that moment, read by neon-layer. */
  openView(): Promise<TimelineView>;
  /** Key in hex, length, begin of the sha256. */
  readonly listed: readonly (readonly [string, number, string])[];
}

export interface SampleTimeline {
  readonly major: number;
  readonly tenantId: string;
  readonly timelineId: string;
  /** Where the images lie and the WAL begins. */
  readonly baseLsn: Lsn;
  readonly phases: readonly SamplePhase[];
  /** From the main timeline at `p1`; it took the same WAL to `p2`. */
  readonly branch: { readonly timelineId: string; readonly start: Lsn; readonly phase: SamplePhase };
  /** The WAL as a walsender sends it, from `baseLsn` on, at least to the last phase. */
  readonly wal: Uint8Array;
  /** Puts the imported cluster: its image layers, and an index of generation 1 that ends at `baseLsn`. */
  putBase(storage: Storage): Promise<void>;
}

/** The main timeline of sample `pg16` or `pg17`. */
export async function openSampleTimeline(name: string): Promise<SampleTimeline> {
  const directory = `${SAMPLES_DIRECTORY}${name}/`;
  const expected = JSON.parse(readFileSync(`${directory}expected.json`, 'utf8'));
  const tenantId = String(expected.tenant);
  const timelineId = String(expected.timelines.main);
  const real = await openFsStorage({ rootPath: `${directory}storage` });
  const source = await loadTimeline(real, { tenant: tenantId, timelineId });
  const { metadata, layers } = source.index;
  const major = metadata.postgresMajor;
  const baseLsn = metadata.initdbLsn;
  const lsnOf = (name: string): Lsn => {
    const phase = (expected.phases as readonly { readonly name: string; readonly lsn: string }[]).find(
      (each) => each.name === name,
    );
    return parseLsn(phase?.lsn ?? '');
  };
  const phaseOf = (timeline: 'main' | 'branch', name: string): SamplePhase => ({
    name: `${timeline} ${name}`,
    lsn: lsnOf(name),
    openView: () =>
      openTimelineView(real, {
        tenant: tenantId,
        timelineId: String(expected.timelines[timeline]),
        lsn: lsnOf(name),
        redo: createValueRedo(major),
      }),
    listed: readListing(`${directory}expected/values-${timeline}-${name}.tsv.gz`),
  });
  return {
    major,
    tenantId,
    timelineId,
    baseLsn,
    phases: ['base', 'p1', 'p2', 'p3'].map((name) => phaseOf('main', name)),
    branch: {
      timelineId: String(expected.timelines.branch),
      start: lsnOf('p1'),
      phase: phaseOf('branch', 'p2'),
    },
    wal: walFrom(`${directory}source/wal/`, baseLsn),
    putBase: async (storage) => {
      const images = source.layers.layers.filter(
        ({ desc }) => desc.kind === 'image' && desc.lsnStart === baseLsn,
      );
      for (const { objectKey, sizeBytes } of images) {
        const { body } = await real.get(objectKey);
        await storage.put(objectKey, await readAll(body, { sizeMaxBytes: sizeBytes }));
      }
      const names = new Set(images.map((image) => image.name));
      const index: IndexPart = {
        ...source.index,
        layers: new Map([...layers].filter(([layer]) => names.has(layer))),
        diskConsistentLsn: baseLsn,
        metadata: {
          ...metadata,
          diskConsistentLsn: baseLsn,
          prevRecordLsn: undefined,
          latestGcCutoffLsn: baseLsn,
        },
      };
      const tenant = { tenantId, shard: UNSHARDED };
      await storage.put(indexObjectKey({ tenant, timelineId, generation: 1 }), encodeIndexPart(index));
    },
  };
}

/** A value in a form that compares: directories have no order, theirs is that of their numbers here. */
export function comparableValue(hexKey: string, value: Uint8Array, major: number): string {
  return Buffer.from(sorted(keyFromHex(hexKey), value, major)).toString('latin1');
}

/** Whether a key's value has no order of its own. */
export function isDirectory(hexKey: string): boolean {
  return parseKey(keyFromHex(hexKey)).kind.endsWith('-directory');
}

export async function copyStorage(from: Storage, to: Storage): Promise<void> {
  for await (const { objects } of from.list()) {
    for (const { key } of objects) {
      const { body } = await from.get(key);
      await to.put(key, await readAll(body, { sizeMaxBytes: OBJECT_BYTES_MAX }));
    }
  }
}

function sorted(key: Uint8Array, value: Uint8Array, major: number): Uint8Array {
  switch (parseKey(key).kind) {
    case 'db-directory':
      return encodeDbDirectory(ordered(decodeDbDirectory(value)));
    case 'relation-directory':
      return encodeRelDirectory(ordered(decodeRelDirectory(value)));
    case 'slru-directory':
      return encodeSlruSegmentDirectory(ordered(decodeSlruSegmentDirectory(value)));
    case 'two-phase-directory':
      return encodeTwoPhaseDirectory(ordered(decodeTwoPhaseDirectory(value, major)), major);
    default:
      return value;
  }
}

function ordered<T>(items: readonly T[]): readonly T[] {
  const text = (item: T): string => (typeof item === 'object' ? JSON.stringify(item) : String(item));
  return items.toSorted((a, b) => text(a).localeCompare(text(b)));
}

function readListing(path: string): SamplePhase['listed'] {
  const lines = gunzipSync(readFileSync(path)).toString().trimEnd().split('\n');
  return lines.map((line) => {
    const [key = '', length = '', digest = ''] = line.split('\t');
    return [key, Number(length), digest];
  });
}

function walFrom(directory: string, start: Lsn): Uint8Array {
  const segments = readdirSync(directory).sort();
  const all = Buffer.concat(segments.map((file) => zstdDecompressSync(readFileSync(directory + file))));
  const first = lsn(BigInt(WAL_SEGMENT_SIZE_DEFAULT));
  return Uint8Array.from(all.subarray(Number(start - first)));
}

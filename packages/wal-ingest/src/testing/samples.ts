/*
 * Timelines that a real page server made from WAL, with that WAL. They lie beside the repository on machines that have
 * them; on CI they must be there.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { zstdDecompressSync } from 'node:zlib';
import {
  decodeBlobHeader,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  decodeValue,
  encodeDbDirectory,
  encodeRelDirectory,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  encodeValue,
  KEY_MAX,
  KEY_MIN,
  keyToHex,
  LayerFile,
  loadTimeline,
  openTimelineView,
  parseKey,
  type StoredLayer,
  type TimelineSource,
  type TimelineView,
  type Value,
  willInit,
} from '@neon-snapshot/neon-layer';
import {
  formatLsnHex,
  type Lsn,
  parseWalSegmentFileName,
  readWalRecords,
  WAL_SEGMENT_SIZE_DEFAULT,
  type WalRecord,
} from '@neon-snapshot/postgres';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import type { IngestWrite } from '../timeline-state.ts';

const SAMPLES_DIRECTORY = fileURLToPath(new URL('../../../../../shared/data/neon/', import.meta.url));
/** Whether tests on the samples run. */
export const HAS_SAMPLES: boolean = existsSync(SAMPLES_DIRECTORY) || process.env.CI === 'true';
/** Stands in the name of a skipped suite. */
export const SAMPLES_NOTE: string = HAS_SAMPLES ? '' : ' [skipped: ../shared/data/neon is not there]';

const SEGMENT_SIZE = WAL_SEGMENT_SIZE_DEFAULT;
const EVERYTHING = { start: KEY_MIN, end: KEY_MAX };

/** One entry of a delta layer, comparable: directories sorted. */
export interface ComparableEntry {
  /** Key and LSN in hex. */
  readonly id: string;
  readonly willInit: boolean;
  readonly value: Uint8Array;
  /** As it was, in the order of its directory. */
  readonly stored: Value;
}

export interface Sample {
  readonly major: number;
  readonly source: TimelineSource;
  /** Delta layers of the newest index; an ancestor's are not among them. */
  readonly deltas: readonly StoredLayer[];
  viewAt(lsn: Lsn): Promise<TimelineView>;
  walFrom(start: Lsn, end: Lsn): Generator<WalRecord>;
  entriesOf(layer: StoredLayer): Promise<readonly ComparableEntry[]>;
  /** A layer file whole. */
  bytesOf(layer: StoredLayer): Uint8Array;
}

/** Opens a timeline of a sample, e.g. `pg17` and `main`. */
export async function openSample(name: string, timeline: string): Promise<Sample> {
  const directory = `${SAMPLES_DIRECTORY}${name}/`;
  const expected = JSON.parse(readFileSync(`${directory}expected.json`, 'utf8'));
  const tenantId = String(expected.tenant);
  const options = { tenant: tenantId, timelineId: String(expected.timelines[timeline]) };
  const storage = await openFsStorage({ rootPath: `${directory}storage` });
  const source = await loadTimeline(storage, options);
  const major = source.index.metadata.postgresMajor;
  const segment = segmentsOf(`${directory}source/wal/`);
  return {
    major,
    source,
    deltas: source.layers.layers.filter(({ desc }) => desc.kind === 'delta'),
    viewAt: (lsn) => openTimelineView(storage, { ...options, lsn }),
    walFrom: (start, end) => readWalRecords({ major, segmentSize: SEGMENT_SIZE, segment, start, end }),
    entriesOf: async ({ objectKey, desc, sizeBytes }) => {
      const file = await LayerFile.open(storage, objectKey, { desc, sizeBytes, tenantId });
      const entries: ComparableEntry[] = [];
      for await (const { entry, blob } of file.readBlobs(file.entries(EVERYTHING))) {
        const { headerSize, payloadSize } = decodeBlobHeader(blob, 0, blob.length);
        const value = blob.subarray(headerSize, headerSize + payloadSize);
        entries.push(comparable({ ...entry, value: decodeValue(value) }, major));
      }
      return entries;
    },
    bytesOf: ({ objectKey }) => readFileSync(`${directory}storage/${objectKey}`),
  };
}

/** An ingest's write in the form in which entries compare. */
export function comparable(
  write: IngestWrite & { readonly willInit?: boolean },
  major: number,
): ComparableEntry {
  const { key, lsn, value } = write;
  const isImage = value.kind === 'image';
  return {
    id: `${keyToHex(key)} ${formatLsnHex(lsn)}`,
    willInit: write.willInit ?? willInit(value),
    stored: value,
    value: encodeValue(isImage ? { kind: 'image', image: sorted(key, value.image, major) } : value),
  };
}

/** Directories have no order: theirs is that of their numbers here. */
function sorted(key: Uint8Array, image: Uint8Array, major: number): Uint8Array {
  switch (parseKey(key).kind) {
    case 'db-directory':
      return encodeDbDirectory(ordered(decodeDbDirectory(image)));
    case 'relation-directory':
      return encodeRelDirectory(ordered(decodeRelDirectory(image)));
    case 'slru-directory':
      return encodeSlruSegmentDirectory(ordered(decodeSlruSegmentDirectory(image)));
    case 'two-phase-directory':
      return encodeTwoPhaseDirectory(ordered(decodeTwoPhaseDirectory(image, major)), major);
    default:
      return image;
  }
}

function ordered<T>(items: readonly T[]): readonly T[] {
  const text = (item: T): string => (typeof item === 'object' ? JSON.stringify(item) : String(item));
  return items.toSorted((a, b) => text(a).localeCompare(text(b)));
}

function segmentsOf(directory: string): (segno: number) => Uint8Array | undefined {
  const names = readdirSync(directory);
  return (segno) => {
    const name = names.find(
      (other) => parseWalSegmentFileName(other.slice(0, 24), SEGMENT_SIZE)?.segno === segno,
    );
    return name === undefined ? undefined : zstdDecompressSync(readFileSync(`${directory}${name}`));
  };
}

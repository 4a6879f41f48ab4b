/* A small timeline in memory, and what one record does to it in words. */
import {
  CHECKPOINT_KEY,
  DBDIR_KEY,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSizeValue,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  describeKey,
  encodeDbDirectory,
  encodeRelDirectory,
  encodeSizeValue,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  type NeonWalRecord,
  parseKey,
  relDirKey,
  relMapKey,
  relSizeKey,
  SLRU_KINDS,
  slruDirKey,
  slruSizeKey,
  TWO_PHASE_DIRECTORY_KEY,
} from '@neon-snapshot/neon-layer';
import {
  type CheckPoint,
  decodeCheckPoint,
  encodeCheckPoint,
  type Lsn,
  lsn,
  type RelTag,
  type SlruKind,
  stockCheckPoint,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import type { HeapLayout } from '../heap-layout.ts';
import { MemoryTimeline, type MemoryTimelineOptions } from '../memory-timeline.ts';
import type { IngestWrite } from '../timeline-state.ts';
import { WalIngest } from '../wal-ingest.ts';

export const CHECK_POINT = stockCheckPoint({
  major: 17,
  redo: ZERO_LSN,
  nextXid: 2048n,
  nextOid: 16_384,
  oldestXid: 722,
  time: 1_700_000_000n,
});

/** Every record ends here, or 8 bytes behind the one before. */
export const FIRST_END: Lsn = lsn(0x1_0000_2000n);
const DATABASE = { spcNode: 1663, dbNode: 5 } as const;
/** The relation that most tests have. */
export const TABLE: RelTag = { ...DATABASE, relNode: 16_384, forkNum: 0 };
/** Small, so that damaged block numbers do not fill the memory. */
export const GAP_BLOCKS_MAX = 20_000;
export const VISIBILITY_MAP: RelTag = { ...TABLE, forkNum: 2 };
export const FREE_SPACE_MAP: RelTag = { ...TABLE, forkNum: 1 };

export interface TestTimelineOptions {
  readonly major?: number;
  readonly heapLayout?: HeapLayout;
  readonly checkPoint?: Partial<CheckPoint>;
  /** Relations of database 5 and their sizes. */
  readonly relations?: readonly (readonly [RelTag, number])[];
  readonly segments?: Partial<Readonly<Record<SlruKind, readonly number[]>>>;
  readonly prepared?: readonly bigint[];
  readonly redo?: MemoryTimelineOptions['redo'];
}

/** What a write says: the key in words, and the value decoded as far as its kind allows. */
export type Written = readonly [key: string, value: unknown];

export interface TestTimeline {
  readonly timeline: MemoryTimeline;
  readonly ingest: WalIngest;
  /** Ingests a record; gives what it wrote, but for the checkpoint. */
  take(record: Uint8Array): Promise<readonly Written[]>;
  /** Ingests a record; gives the fields of the checkpoint that it changed, or undefined where none was written. */
  takeCheckpoint(record: Uint8Array): Promise<Partial<CheckPoint> | undefined>;
}

/** A timeline with one database, and SLRU segments of 32 pages. */
export async function makeTestTimeline(options: TestTimelineOptions = {}): Promise<TestTimeline> {
  const { major = 16, heapLayout = 'stock', redo } = options;
  const timeline = new MemoryTimeline({ redo });
  timeline.apply(initialWrites(options, major));
  const ingest = await WalIngest.open({
    major,
    heapLayout,
    state: timeline,
    sink: timeline.apply,
    gapBlocksMax: GAP_BLOCKS_MAX,
  });
  const writesOf = async (record: Uint8Array): Promise<readonly IngestWrite[]> => {
    const before = timeline.writes.length;
    const last = ingest.lastRecordLsn;
    await ingest.ingest({ bytes: record, end: last === ZERO_LSN ? FIRST_END : lsn(last + 8n) });
    return timeline.writes.slice(before);
  };
  const isCheckpoint = ({ key }: IngestWrite): boolean => parseKey(key).kind === 'checkpoint';
  return {
    timeline,
    ingest,
    take: async (record) =>
      (await writesOf(record)).filter((write) => !isCheckpoint(write)).map((write) => written(write, major)),
    takeCheckpoint: async (record) => {
      const before = ingest.checkPoint;
      const write = (await writesOf(record)).find(isCheckpoint);
      if (write?.value.kind !== 'image') return undefined;
      return changes(before, decodeCheckPoint(write.value.image, major));
    },
  };
}

function initialWrites(options: TestTimelineOptions, major: number): readonly IngestWrite[] {
  const { relations = [], segments = {}, prepared = [] } = options;
  const images: (readonly [Uint8Array, Uint8Array])[] = [
    [CHECKPOINT_KEY, encodeCheckPoint({ ...CHECK_POINT, ...options.checkPoint }, major)],
    [DBDIR_KEY, encodeDbDirectory([{ ...DATABASE, hasRelationMap: true }])],
    [relMapKey(1663, 5), Uint8Array.of(1, 2, 3)],
    [relDirKey(1663, 5), encodeRelDirectory(relations.map(([tag]) => tag))],
    [TWO_PHASE_DIRECTORY_KEY, encodeTwoPhaseDirectory(prepared, major)],
    ...relations.map(([tag, size]) => [relSizeKey(tag), encodeSizeValue(size)] as const),
  ];
  for (const kind of SLRU_KINDS) {
    images.push([slruDirKey(kind), encodeSlruSegmentDirectory(segments[kind] ?? [])]);
    for (const segno of segments[kind] ?? []) images.push([slruSizeKey(kind, segno), encodeSizeValue(32)]);
  }
  return images.map(([key, image]) => ({ key, lsn: ZERO_LSN, value: { kind: 'image', image } }));
}

function written({ key, value }: IngestWrite, major: number): Written {
  return [
    describeKey(key),
    value.kind === 'image' ? decodeImage(key, value.image, major) : shortened(value.record),
  ];
}

function decodeImage(key: Uint8Array, image: Uint8Array, major: number): unknown {
  switch (parseKey(key).kind) {
    case 'relation-size':
    case 'slru-size':
      return decodeSizeValue(image);
    case 'db-directory':
      return decodeDbDirectory(image).map((d) => `${d.spcNode}/${d.dbNode}${d.hasRelationMap ? ' map' : ''}`);
    case 'relation-directory':
      return decodeRelDirectory(image).map(({ relNode, forkNum }) => `${relNode} ${forkNum}`);
    case 'slru-directory':
      return decodeSlruSegmentDirectory(image);
    case 'two-phase-directory':
      return decodeTwoPhaseDirectory(image, major);
    default:
      return image.length > 0 && image.every((byte) => byte === 0) ? `${image.length} zeros` : image;
  }
}

/** Records of Postgres by their first field, Neon's own whole. */
function shortened(record: NeonWalRecord): unknown {
  return record.kind === 'postgres' ? { willInit: record.willInit, size: record.record.length } : record;
}

function changes(before: CheckPoint, after: CheckPoint): Partial<CheckPoint> {
  const entries = Object.entries(after).filter(([name, value]) => before[name as keyof CheckPoint] !== value);
  return Object.fromEntries(entries);
}

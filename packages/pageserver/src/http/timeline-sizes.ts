/** How large a timeline is: what Postgres would have on its disk, and what its layers take. */
import { SLRU_KINDS, type TimelineSource } from '@neon-snapshot/neon-layer';
import {
  type ContentsReader,
  readTimelineDirectories,
  type TimelineDirectories,
  usesNewRelationDirectory,
} from '@neon-snapshot/neon-timeline';
import { BLCKSZ, type Lsn } from '@neon-snapshot/postgres';
import type { PageServer } from '../page-server/page-server.ts';
import type { Timeline } from '../timeline/timeline.ts';

/** Blocks of all forks of all relations, at an LSN. */
export interface LogicalSize {
  readonly lsn: Lsn;
  readonly sizeBytes: number;
  /** In the order of Neon's `DirectoryKind`: databases, prepared transactions, relations, aux files (0: not counted), SLRU segments, relations of the newer directory. */
  readonly directoryCounts: readonly number[];
}

const known = new WeakMap<Timeline, LogicalSize>();
const beingRead = new WeakMap<Timeline, Promise<LogicalSize>>();

/** As it was read last; reading it is for those who ask, since it needs a part of every image layer. */
export function knownLogicalSize(timeline: Timeline): LogicalSize | undefined {
  return known.get(timeline);
}

/** Reads it at the end of the timeline, unless it is known there. Callers at the same time share one read. */
export async function readLogicalSize(pageServer: PageServer, timeline: Timeline): Promise<LogicalSize> {
  const last = known.get(timeline);
  if (last?.lsn === timeline.lastRecordLsn) return last;
  const running = beingRead.get(timeline);
  if (running !== undefined) return running;
  const read = readAt(timeline, timeline.lastRecordLsn, pageServer.signal);
  beingRead.set(timeline, read);
  try {
    const size = await read;
    known.set(timeline, size);
    return size;
  } finally {
    beingRead.delete(timeline);
  }
}

async function readAt(timeline: Timeline, lsn: Lsn, signal: AbortSignal): Promise<LogicalSize> {
  const reader = readerOf(timeline, lsn);
  const directories = await readTimelineDirectories(reader, { signal });
  const forks = directories.databases.flatMap((database) => database.forks);
  const blocks = forks.reduce((sum, { blockCount }) => sum + blockCount, 0);
  const directoryCounts = countEntries(directories, usesNewRelationDirectory(reader));
  return { lsn, sizeBytes: blocks * BLCKSZ, directoryCounts };
}

/** Without making a layer of what is in memory. */
function readerOf(timeline: Timeline, lsn: Lsn): ContentsReader {
  return {
    source: timeline.source,
    lsn,
    get: (key, options) => timeline.get(key, lsn, options),
    getMany: (keys, options) => timeline.getMany(keys, lsn, options),
    async *scan(range, options) {
      const reader = await timeline.readerAt(lsn, options);
      try {
        yield* reader.scan(range, options);
      } finally {
        reader.close();
      }
    },
  };
}

function countEntries(directories: TimelineDirectories, isNewDirectory: boolean): readonly number[] {
  const { databases, preparedXids, slruSegments } = directories;
  const relations = databases.reduce((sum, { forks }) => sum + forks.length, 0);
  const segments = SLRU_KINDS.map((kind) => slruSegments.filter(({ slru }) => slru === kind).length);
  return [
    databases.length,
    preparedXids.length,
    isNewDirectory ? 0 : relations,
    0,
    ...segments,
    isNewDirectory ? relations : 0,
  ];
}

/** Bytes of a timeline's own layers. */
export interface LayerSizes {
  readonly count: number;
  readonly allBytes: number;
  /** In the storage, and listed there. */
  readonly remoteBytes: number;
}

const sizesOfSource = new WeakMap<TimelineSource, LayerSizes>();

/** Summed once for each state of the layers. */
export function layerSizes({ source }: Timeline): LayerSizes {
  const last = sizesOfSource.get(source);
  if (last !== undefined) return last;
  const { layers } = source.layers;
  const sum = (of: typeof layers) => of.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  const remote = layers.filter(({ name }) => source.index.layers.has(name));
  const sizes = { count: layers.length, allBytes: sum(layers), remoteBytes: sum(remote) };
  sizesOfSource.set(source, sizes);
  return sizes;
}

/** Bytes of a timeline's own layers that have a local copy. */
export function residentBytes(pageServer: PageServer, { source }: Timeline): number {
  const resident = source.layers.layers.filter(({ objectKey }) => pageServer.isResident(objectKey));
  return resident.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

import {
  type FileEntry,
  type PlannedFile,
  type SnapshotInfo,
  type SnapshotReader,
  sortCanonically,
  withEnd,
} from '@neon-snapshot/format-core';
import {
  BLCKSZ,
  encodeControlFile,
  type ShutdownCheckpoint,
  shutDownControlFile,
} from '@neon-snapshot/postgres';
import { modelControlFile, modelShutdown } from './model-control.ts';
import { modelFiles } from './model-files.ts';

/** A made-up cluster that was shut down cleanly: complete enough for every format, though no Postgres would start on it. */
export interface ModelSnapshot {
  readonly reader: SnapshotReader;
  /** Contents by PGDATA-relative path; `global/pg_control` is not among them. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export interface ModelSnapshotOptions {
  /** Postgres major. Default 17. */
  readonly major?: number;
  /** Default true. */
  readonly dataChecksums?: boolean;
  /** Default 1 MiB, the least that there is. */
  readonly walSegmentSizeBytes?: number;
  /** Pages of the largest relation. Default 300. */
  readonly pageCount?: number;
  /** Further files; they replace those of the model. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** Replaces facts that the snapshot claims. */
  readonly info?: Partial<SnapshotInfo>;
  /** No plan: the sizes are known only when a file comes. */
  readonly withoutPlan?: boolean;
  /** Looks at, or replaces, each file entry before it is given out; `index` is its place in the plan. */
  readonly onFile?: (entry: FileEntry, index: number) => FileEntry;
}

const WAL_SEGMENT_BYTES_DEFAULT = 1024 * 1024;

/** Makes a snapshot in memory. The same options make the same bytes. */
export function createModelSnapshot(options: ModelSnapshotOptions = {}): ModelSnapshot {
  const { major = 17, dataChecksums = true, pageCount = 300 } = options;
  const { walSegmentSizeBytes = WAL_SEGMENT_BYTES_DEFAULT } = options;
  const running = modelControlFile({ major, dataChecksums, walSegmentSizeBytes });
  const shutdown = modelShutdown(running, major);
  const files = new Map(
    Object.entries({ ...modelFiles({ major, pageCount }), ...walFiles(shutdown), ...options.files }),
  );
  const plan = sortCanonically([...files].map(([path, bytes]) => ({ path, sizeBytes: bytes.length })));
  const info: SnapshotInfo = {
    systemIdentifier: running.systemIdentifier,
    postgresMajor: major,
    catalogVersion: running.catalogVersion,
    lsn: shutdown.recordEnd,
    previousRecordLsn: shutdown.recordStart,
    timeLineId: 1,
    dataChecksums,
    consistency: { kind: 'consistent' },
    walSegmentSizeBytes: running.walSegmentSizeBytes,
    blockSizeBytes: BLCKSZ,
    tablespaces: [],
    features: { replicationSlots: [], commitTimestamps: false, statistics: false },
    ...options.info,
  };
  const controlFile = encodeControlFile(shutDownControlFile(running, shutdown));
  const reader: SnapshotReader = {
    info,
    ...(options.withoutPlan === true ? {} : { plan }),
    partitions: (countMax) =>
      divide(plan, countMax).map((part, index) => ({
        id: `${index}`,
        ...(options.withoutPlan === true ? {} : { plan: part }),
        entries: withEnd(entriesOf(part, { plan, files, onFile: options.onFile })),
      })),
    finish: async () => ({ controlFile }),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { reader, files };
}

function walFiles({ segments }: ShutdownCheckpoint): Record<string, Uint8Array> {
  return Object.fromEntries(segments.map(({ fileName, bytes }) => [`pg_wal/${fileName}`, bytes]));
}

async function* entriesOf(
  part: readonly PlannedFile[],
  source: {
    readonly plan: readonly PlannedFile[];
    readonly files: ReadonlyMap<string, Uint8Array>;
    readonly onFile: ModelSnapshotOptions['onFile'];
  },
): AsyncGenerator<FileEntry> {
  for (const file of part) {
    const { path, sizeBytes } = file;
    const bytes = source.files.get(path) ?? new Uint8Array();
    const entry: FileEntry = { kind: 'file', path, sizeBytes, body: chunksOf(bytes) };
    yield source.onFile?.(entry, source.plan.indexOf(file)) ?? entry;
  }
}

/** Chunks of the receiver's own, of whole pages. */
async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const size = 16 * BLCKSZ;
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.slice(offset, offset + size);
}

function divide(plan: readonly PlannedFile[], countMax: number): PlannedFile[][] {
  const size = Math.max(1, Math.ceil(plan.length / countMax));
  return Array.from({ length: Math.ceil(plan.length / size) }, (_, index) =>
    plan.slice(index * size, (index + 1) * size),
  );
}

import {
  type PlannedFile,
  type SnapshotInfo,
  type SnapshotReader,
  sortCanonically,
  withEnd,
} from '@neon-snapshot/format-core';
import {
  BLCKSZ,
  CLUSTER_STATE,
  type ControlFile,
  catalogVersionOf,
  createPageChecksums,
  encodeControlFile,
  lsn,
  parseRelationPath,
  RELMAP_SIZE,
  stockCheckPoint,
  stockControlFile,
} from '@neon-snapshot/postgres';

/** A made-up cluster: complete enough for the format, though no Postgres would start on it. */
export interface MadeUpSnapshot {
  readonly reader: SnapshotReader;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export interface MadeUpOptions {
  readonly major?: 14 | 15 | 16 | 17;
  readonly dataChecksums?: boolean;
  readonly timeLineId?: number;
  /** Further files; they replace those of the cluster. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** Leave out all relations: an import then needs no thread. */
  readonly withoutRelations?: boolean;
  readonly info?: Partial<SnapshotInfo>;
  readonly control?: Partial<ControlFile>;
  /** Called for each file before its body is read. */
  readonly onBody?: (path: string) => void;
}

export const SNAPSHOT_LSN = lsn(0x1500_0078n);
export const PREVIOUS_LSN = lsn(0x1500_0000n);
export const SYSTEM_IDENTIFIER = 7_700_000_000_000_000_001n;
const WAL_SEGMENT_BYTES = 16 * 1024 * 1024;

export function makeSnapshot(options: MadeUpOptions = {}): MadeUpSnapshot {
  const { major = 17, dataChecksums = true, timeLineId = 1 } = options;
  const files = new Map(
    Object.entries({ ...clusterFiles(major), ...options.files }).filter(
      ([path]) => options.withoutRelations !== true || parseRelationPath(path) === undefined,
    ),
  );
  const plan = sortCanonically([...files].map(([path, bytes]) => ({ path, sizeBytes: bytes.length })));
  const info: SnapshotInfo = {
    systemIdentifier: SYSTEM_IDENTIFIER,
    postgresMajor: major,
    catalogVersion: catalogVersionOf(major),
    lsn: SNAPSHOT_LSN,
    previousRecordLsn: PREVIOUS_LSN,
    timeLineId,
    dataChecksums,
    consistency: { kind: 'consistent' },
    walSegmentSizeBytes: WAL_SEGMENT_BYTES,
    blockSizeBytes: BLCKSZ,
    tablespaces: [],
    features: { replicationSlots: [], commitTimestamps: false, statistics: false },
    ...options.info,
  };
  const controlFile = encodeControlFile({ ...makeControlFile(info), ...options.control });
  const reader: SnapshotReader = {
    info,
    plan,
    partitions: (countMax) =>
      cut(plan, countMax).map((part, index) => ({
        id: `${index}`,
        plan: part,
        entries: withEnd(entries(part, { files, onBody: options.onBody })),
      })),
    finish: async () => ({ controlFile }),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { reader, files };
}

/** Pages with valid checksums and different contents; `firstBlock` is the number of the first. */
export function makePages(count: number, { firstBlock = 0, seed = 1 } = {}): Uint8Array {
  const pages = new Uint8Array(count * BLCKSZ);
  const view = new DataView(pages.buffer);
  for (let page = 0; page < count; page += 1) {
    for (let word = 0; word < BLCKSZ / 4; word += 1) {
      view.setUint32(page * BLCKSZ + word * 4, word < 1500 ? 0 : Math.imul(word * seed, page + 7));
    }
    view.setUint16(page * BLCKSZ + 12, 24, true);
    view.setUint16(page * BLCKSZ + 14, BLCKSZ, true);
    view.setUint16(page * BLCKSZ + 16, BLCKSZ, true);
    view.setUint16(page * BLCKSZ + 18, BLCKSZ + 4, true);
  }
  const checksums = createPageChecksums({ pagesMax: Math.max(1, count) });
  checksums.buffer.set(pages);
  checksums.stamp(count, firstBlock);
  return Uint8Array.from(checksums.buffer.subarray(0, pages.length));
}

function clusterFiles(major: 14 | 15 | 16 | 17): Record<string, Uint8Array> {
  const text = new TextEncoder();
  const relationMap = new Uint8Array(RELMAP_SIZE[major]).fill(7);
  return {
    PG_VERSION: text.encode(`${major}\n`),
    'postgresql.conf': text.encode('port = 5433\n'),
    'global/pg_filenode.map': relationMap,
    'global/1262': makePages(1),
    'base/5/PG_VERSION': text.encode(`${major}\n`),
    'base/5/pg_filenode.map': relationMap,
    'base/5/1259': makePages(70),
    'base/5/1259_vm': makePages(1, { seed: 3 }),
    'base/5/2600': new Uint8Array(0),
    'base/5/16400': new Uint8Array(3 * BLCKSZ),
    'pg_xact/0000': new Uint8Array(2 * BLCKSZ).fill(0x55),
    'pg_multixact/members/0000': new Uint8Array(BLCKSZ),
    'pg_multixact/offsets/0000': new Uint8Array(BLCKSZ).fill(1),
  };
}

function makeControlFile(info: SnapshotInfo): ControlFile {
  const { postgresMajor: major, timeLineId, walSegmentSizeBytes } = info;
  const checkPointCopy = stockCheckPoint({
    major,
    redo: PREVIOUS_LSN,
    thisTimeLineId: timeLineId,
    prevTimeLineId: timeLineId,
    nextXid: 0x1_0000_0400n,
    time: 1_790_000_000n,
  });
  return stockControlFile({
    major,
    systemIdentifier: info.systemIdentifier,
    catalogVersion: info.catalogVersion,
    state: CLUSTER_STATE.shutDown,
    checkPointCopy,
    walSegmentSizeBytes,
    dataChecksumVersion: info.dataChecksums ? 1 : 0,
    mockAuthenticationNonce: new Uint8Array(32).fill(9),
  });
}

async function* entries(
  plan: readonly PlannedFile[],
  source: {
    readonly files: ReadonlyMap<string, Uint8Array>;
    readonly onBody: ((path: string) => void) | undefined;
  },
) {
  for (const { path, sizeBytes } of plan) {
    const bytes = source.files.get(path) ?? new Uint8Array();
    yield { kind: 'file', path, sizeBytes, body: chunks(bytes, () => source.onBody?.(path)) } as const;
  }
}

/** Chunks of the receiver's own, three pages or less. */
async function* chunks(bytes: Uint8Array, before: () => void) {
  before();
  for (let offset = 0; offset < bytes.length; offset += 3 * BLCKSZ) {
    yield bytes.slice(offset, offset + 3 * BLCKSZ);
  }
}

function cut(plan: readonly PlannedFile[], countMax: number): PlannedFile[][] {
  const size = Math.ceil(plan.length / countMax);
  return Array.from({ length: Math.ceil(plan.length / size) }, (_, index) =>
    plan.slice(index * size, (index + 1) * size),
  );
}

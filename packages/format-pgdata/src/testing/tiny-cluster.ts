import {
  BLCKSZ,
  buildShutdownCheckpointSegment,
  CLUSTER_STATE,
  type ControlFile,
  crc32c,
  createPageChecksums,
  encodeControlFile,
  type Lsn,
  lsn,
  RELSEG_BLOCKS,
  relationMapCrcOffset,
  shutDownControlFile,
  stockCheckPoint,
  stockControlFile,
  tablespaceVersionDirectory,
} from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';

/** A made-up data directory, small enough for memory and complete enough for the format: no Postgres would start on it. */
export interface TinyCluster {
  readonly storage: Storage;
  readonly controlFile: ControlFile;
  readonly recordStart: Lsn;
  readonly recordEnd: Lsn;
  readonly walPath: string;
}

export interface TinyClusterOptions {
  readonly major?: number;
  readonly dataChecksums?: boolean;
  readonly state?: number;
  /** Where the checkpoint record is put, at least. */
  readonly walEnd?: Lsn;
  /** Further files, by path; they replace those of the cluster. */
  readonly files?: Readonly<Record<string, Uint8Array | string>>;
}

const SEGMENT_SIZE_BYTES = 1024 * 1024;

export async function makeTinyCluster(options: TinyClusterOptions = {}): Promise<TinyCluster> {
  const { major = 17 } = options;
  const storage = createMemoryStorage();
  const controlFile = runningControlFile(major, options.dataChecksums ?? true);
  const shutdown = buildShutdownCheckpointSegment({
    major,
    systemIdentifier: controlFile.systemIdentifier,
    timeLineId: 1,
    lsn: options.walEnd ?? lsn(0x300028n),
    checkPoint: controlFile.checkPointCopy,
    segmentSize: SEGMENT_SIZE_BYTES,
  });
  const stopped = {
    ...shutDownControlFile(controlFile, shutdown),
    state: options.state ?? CLUSTER_STATE.shutDown,
  };
  const files: Record<string, Uint8Array | string> = {
    PG_VERSION: `${major}\n`,
    'global/pg_control': encodeControlFile(stopped),
    'postgresql.conf': 'port = 5432\n',
    ...relationFiles(major),
    ...leftOutFiles(),
  };
  for (const { fileName, bytes } of shutdown.segments) files[`pg_wal/${fileName}`] = bytes;
  for (const [path, content] of Object.entries({ ...files, ...options.files })) {
    await storage.put(path, typeof content === 'string' ? new TextEncoder().encode(content) : content);
  }
  const walPath = `pg_wal/${shutdown.segments[0]?.fileName}`;
  return {
    storage,
    controlFile: stopped,
    recordStart: shutdown.recordStart,
    recordEnd: shutdown.recordEnd,
    walPath,
  };
}

/** Pages with a valid header and checksum; page contents depend on `seed` and the block number. */
export function makePages(
  pageCount: number,
  options: { readonly seed: number; readonly segno?: number },
): Uint8Array {
  const checksums = createPageChecksums({ pagesMax: Math.max(1, pageCount) });
  const firstBlockNumber = (options.segno ?? 0) * RELSEG_BLOCKS;
  for (let index = 0; index < pageCount; index++) {
    const view = new DataView(checksums.buffer.buffer, checksums.buffer.byteOffset + index * BLCKSZ, BLCKSZ);
    view.setUint16(12, 24, true);
    view.setUint16(14, BLCKSZ, true);
    view.setUint16(16, BLCKSZ, true);
    view.setUint16(18, 0x2004, true);
    for (let offset = 24; offset < BLCKSZ; offset += 4) {
      view.setUint32(offset, Math.imul(options.seed + index, 2654435761) ^ offset, true);
    }
  }
  checksums.stamp(pageCount, firstBlockNumber);
  return checksums.buffer.slice(0, pageCount * BLCKSZ);
}

function relationFiles(major: number): Record<string, Uint8Array | string> {
  const tablespace = `pg_tblspc/16500/${tablespaceVersionDirectory(major)}/5`;
  return {
    'global/1260': makePages(1, { seed: 1 }),
    'global/pg_filenode.map': makeRelationMap(major, [1260]),
    'base/1/pg_filenode.map': makeRelationMap(major, []),
    'base/5/pg_filenode.map': makeRelationMap(major, [1259]),
    'base/1/PG_VERSION': `${major}\n`,
    'base/5/PG_VERSION': `${major}\n`,
    'base/5/1259': makePages(5, { seed: 2 }),
    'base/5/1259_fsm': makePages(3, { seed: 3 }),
    'base/5/1259_vm': makePages(1, { seed: 4 }),
    'base/5/16400': makePages(200, { seed: 5 }),
    'base/5/16401': new Uint8Array(0),
    'base/5/16402': makePages(2, { seed: 6 }),
    'base/5/16402_init': makePages(1, { seed: 7 }),
    'base/5/16402_fsm': makePages(3, { seed: 8 }),
    [`${tablespace}/16600`]: makePages(2, { seed: 9 }),
    'pg_xact/0000': new Uint8Array(8192),
  };
}

/** A relation map in which every catalog has its OID as relfilenode. */
export function makeRelationMap(major: number, oids: readonly number[]): Uint8Array {
  const crcOffset = relationMapCrcOffset(major);
  const bytes = new Uint8Array(major < 16 ? 512 : 524);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, 0x592717, true);
  view.setInt32(4, oids.length, true);
  for (const [index, oid] of oids.entries()) {
    view.setUint32(8 + index * 8, oid, true);
    view.setUint32(12 + index * 8, oid, true);
  }
  view.setUint32(crcOffset, crc32c(bytes.subarray(0, crcOffset)), true);
  return bytes;
}

/** What BASE_BACKUP leaves out. */
function leftOutFiles(): Record<string, Uint8Array | string> {
  return {
    'base/5/t3_16410': makePages(1, { seed: 10 }),
    'base/5/t3_16410_fsm.1': makePages(1, { seed: 11 }),
    'base/5/pg_internal.init': 'x',
    'base/5/pg_internal.init.123': 'x',
    'global/pg_internal.init': 'x',
    'base/pgsql_tmp/pgsql_tmp7.0': 'x',
    'postmaster.opts': 'x',
    'postgresql.auto.conf.tmp': 'x',
    'current_logfiles.tmp': 'x',
    tablespace_map: '',
    backup_manifest: '{}',
    'pg_stat_tmp/global.stat': 'x',
    'pg_replslot/slot_b/state': 'x',
    'pg_replslot/slot_a/state': 'x',
    'pg_dynshmem/mmap.1': 'x',
    'pg_notify/0000': 'x',
    'pg_serial/0000': 'x',
    'pg_snapshots/00000003-1': 'x',
    'pg_subtrans/0000': 'x',
    'pg_wal/archive_status/000000010000000000000001.done': '',
    'pg_wal/000000010000000000000001': new Uint8Array(SEGMENT_SIZE_BYTES),
    '.DS_Store': 'x',
  };
}

function runningControlFile(major: number, dataChecksums: boolean): ControlFile {
  return stockControlFile({
    major,
    systemIdentifier: 7_710_864_959_956_258_265n,
    checkPointCopy: stockCheckPoint({ major, redo: lsn(0x300028n), time: 1_790_000_000n }),
    maxPreparedXacts: 7,
    walSegmentSizeBytes: SEGMENT_SIZE_BYTES,
    dataChecksumVersion: dataChecksums ? 1 : 0,
  });
}

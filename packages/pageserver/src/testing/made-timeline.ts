import {
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  compareKeys,
  DBDIR_KEY,
  encodeDbDirectory,
  encodeIndexPart,
  encodePlainBlob,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  ImageLayerBuilder,
  indexObjectKey,
  KEY_MAX,
  KEY_MIN,
  layerObjectKey,
  SLRU_KINDS,
  slruDirKey,
  TWO_PHASE_DIRECTORY_KEY,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import {
  type CheckPoint,
  type ControlFile,
  catalogVersionOf,
  controlVersionOf,
  encodeCheckPoint,
  encodeControlFile,
  type Lsn,
  lsn,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { MADE_MAJOR, MADE_SEGMENT_SIZE, MADE_SYSTEM_IDENTIFIER } from './made-wal.ts';

export const TENANT = '10101010101010101010101010101010';
export const TIMELINE = '20202020202020202020202020202020';
/** Where the images lie and the WAL begins. */
export const MADE_START: Lsn = lsn(0x1_0000_0028n);

const CHECK_POINT: CheckPoint = {
  redo: MADE_START,
  thisTimeLineId: 1,
  prevTimeLineId: 1,
  fullPageWrites: true,
  walLevel: 1,
  nextXid: 2048n,
  nextOid: 16_384,
  nextMulti: 1,
  nextMultiOffset: 0,
  oldestXid: 722,
  oldestXidDb: 1,
  oldestMulti: 1,
  oldestMultiDb: 1,
  time: 1_700_000_000n,
  oldestCommitTsXid: 0,
  newestCommitTsXid: 0,
  oldestActiveXid: 0,
};

const CONTROL_FILE: ControlFile = {
  systemIdentifier: MADE_SYSTEM_IDENTIFIER,
  controlVersion: controlVersionOf(MADE_MAJOR),
  catalogVersion: catalogVersionOf(MADE_MAJOR),
  state: 1,
  time: 1_700_000_000n,
  checkPoint: MADE_START,
  checkPointCopy: CHECK_POINT,
  unloggedLsn: ZERO_LSN,
  minRecoveryPoint: ZERO_LSN,
  minRecoveryPointTimeLineId: 0,
  backupStartPoint: ZERO_LSN,
  backupEndPoint: ZERO_LSN,
  backupEndRequired: false,
  walLevel: 1,
  walLogHints: false,
  maxConnections: 100,
  maxWorkerProcesses: 8,
  maxWalSenders: 10,
  maxPreparedXacts: 0,
  maxLocksPerXact: 64,
  trackCommitTimestamp: false,
  maxAlign: 8,
  floatFormat: 1_234_567,
  blockSizeBytes: 8192,
  relationSegmentBlocks: 131_072,
  walBlockSizeBytes: 8192,
  walSegmentSizeBytes: MADE_SEGMENT_SIZE,
  nameDataLen: 64,
  indexMaxKeys: 32,
  toastMaxChunkSize: 1996,
  largeObjectBlockSize: 2048,
  float8ByVal: true,
  dataChecksumVersion: 0,
  mockAuthenticationNonce: new Uint8Array(32),
};

/** A timeline of an empty cluster of Postgres 17, its WAL to be made by `MadeWal`; an index of generation 1. */
export async function putMadeTimeline(storage: Storage): Promise<void> {
  const builder = new ImageLayerBuilder({
    tenantId: TENANT,
    timelineId: TIMELINE,
    lsn: MADE_START,
    keyStart: KEY_MIN,
  });
  const values: (readonly [Uint8Array, Uint8Array])[] = [
    [DBDIR_KEY, encodeDbDirectory([])],
    [TWO_PHASE_DIRECTORY_KEY, encodeTwoPhaseDirectory([], MADE_MAJOR)],
    [CONTROL_FILE_KEY, encodeControlFile(CONTROL_FILE)],
    [CHECKPOINT_KEY, encodeCheckPoint(CHECK_POINT, MADE_MAJOR)],
    ...SLRU_KINDS.map((kind) => [slruDirKey(kind), encodeSlruSegmentDirectory([])] as const),
  ];
  for (const [key, value] of values.sort(([a], [b]) => compareKeys(a, b)))
    builder.appendBlob(key, encodePlainBlob(value));
  const { name, sizeBytes, chunks } = builder.finish(KEY_MAX);
  const layer = { tenantId: TENANT, timelineId: TIMELINE, layerName: name, generation: 1 };
  await storage.put(layerObjectKey(layer), Uint8Array.from(Buffer.concat(chunks)));
  const index = encodeIndexPart({
    layers: new Map([[name, { fileSize: sizeBytes, generation: 1 }]]),
    diskConsistentLsn: MADE_START,
    metadata: {
      diskConsistentLsn: MADE_START,
      prevRecordLsn: undefined,
      ancestorTimelineId: undefined,
      ancestorLsn: ZERO_LSN,
      latestGcCutoffLsn: MADE_START,
      initdbLsn: MADE_START,
      postgresMajor: MADE_MAJOR,
    },
  });
  const tenant = { tenantId: TENANT, shard: UNSHARDED };
  await storage.put(indexObjectKey({ tenant, timelineId: TIMELINE, generation: 1 }), index);
}

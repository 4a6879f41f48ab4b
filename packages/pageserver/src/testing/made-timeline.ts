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
  CLUSTER_STATE,
  encodeCheckPoint,
  encodeControlFile,
  type Lsn,
  lsn,
  stockCheckPoint,
  stockControlFile,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { MADE_MAJOR, MADE_SEGMENT_SIZE, MADE_SYSTEM_IDENTIFIER } from './made-wal.ts';

export const TENANT = '10101010101010101010101010101010';
export const TIMELINE = '20202020202020202020202020202020';
/** Where the images lie and the WAL begins. */
export const MADE_START: Lsn = lsn(0x1_0000_0028n);

const CHECK_POINT = stockCheckPoint({
  major: MADE_MAJOR,
  redo: MADE_START,
  nextXid: 2048n,
  nextOid: 16_384,
  time: 1_700_000_000n,
});

const CONTROL_FILE = stockControlFile({
  major: MADE_MAJOR,
  systemIdentifier: MADE_SYSTEM_IDENTIFIER,
  state: CLUSTER_STATE.shutDown,
  checkPointCopy: CHECK_POINT,
  walSegmentSizeBytes: MADE_SEGMENT_SIZE,
});

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

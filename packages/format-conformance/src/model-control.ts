import {
  BLCKSZ,
  buildShutdownCheckpointSegment,
  CLUSTER_STATE,
  type ControlFile,
  catalogVersionOf,
  controlVersionOf,
  lsn,
  RELSEG_BLOCKS,
  type ShutdownCheckpoint,
  ZERO_LSN,
} from '@neon-snapshot/postgres';

const SYSTEM_IDENTIFIER = 7_712_345_678_901_234_567n;
/** In the middle of a page, and of a segment. */
const CHECKPOINT_LSN = lsn(0x1500_0078n);
/** 2026-09-01, seconds since 1970. */
const TIME = 1_788_220_800n;

/** pg_control of a running cluster. */
export function modelControlFile(of: {
  readonly major: number;
  readonly dataChecksums: boolean;
  readonly walSegmentSizeBytes: number;
}): ControlFile {
  return {
    systemIdentifier: SYSTEM_IDENTIFIER,
    controlVersion: controlVersionOf(of.major),
    catalogVersion: catalogVersionOf(of.major),
    state: CLUSTER_STATE.inProduction,
    time: TIME,
    checkPoint: CHECKPOINT_LSN,
    checkPointCopy: {
      redo: CHECKPOINT_LSN,
      thisTimeLineId: 1,
      prevTimeLineId: 1,
      fullPageWrites: true,
      ...(of.major >= 17 ? { walLevel: 1 } : {}),
      nextXid: 1024n,
      nextOid: 24_576,
      nextMulti: 1,
      nextMultiOffset: 0,
      oldestXid: 730,
      oldestXidDb: 1,
      oldestMulti: 1,
      oldestMultiDb: 1,
      time: TIME,
      oldestCommitTsXid: 0,
      newestCommitTsXid: 0,
      oldestActiveXid: 0,
    },
    unloggedLsn: lsn(1000n),
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
    floatFormat: 1234567,
    blockSizeBytes: BLCKSZ,
    relationSegmentBlocks: RELSEG_BLOCKS,
    walBlockSizeBytes: BLCKSZ,
    walSegmentSizeBytes: of.walSegmentSizeBytes,
    nameDataLen: 64,
    indexMaxKeys: 32,
    toastMaxChunkSize: 1996,
    largeObjectBlockSize: 2048,
    float8ByVal: true,
    dataChecksumVersion: of.dataChecksums ? 1 : 0,
    mockAuthenticationNonce: new Uint8Array(32).fill(9),
  };
}

/** Its clean end. */
export function modelShutdown(running: ControlFile, major: number): ShutdownCheckpoint {
  return buildShutdownCheckpointSegment({
    major,
    systemIdentifier: running.systemIdentifier,
    timeLineId: 1,
    lsn: running.checkPoint,
    checkPoint: running.checkPointCopy,
    segmentSize: running.walSegmentSizeBytes,
  });
}

import type { CheckPoint } from './check-point.ts';
import { CLUSTER_STATE, type ControlFile } from './control-file.ts';
import { type Lsn, lsn, ZERO_LSN } from './lsn.ts';
import { BLCKSZ, RELSEG_BLOCKS } from './page.ts';
import { catalogVersionOf, controlVersionOf } from './postgres-major.ts';
import { WAL_PAGE_SIZE } from './wal-page.ts';

const WAL_SEGMENT_SIZE = 16 * 1024 * 1024;
/** FirstNormalUnloggedLSN of xlogdefs.h. */
const FIRST_UNLOGGED_LSN = lsn(1000n);
const NONCE_BYTES = 32;

/** A checkpoint at `redo` of a cluster as initdb leaves it, but for what is given. `major` decides whether `walLevel` is there (17 and later). */
export function stockCheckPoint(
  of: { readonly major: number; readonly redo: Lsn } & Partial<CheckPoint>,
): CheckPoint {
  const { major, ...given } = of;
  return {
    thisTimeLineId: 1,
    prevTimeLineId: 1,
    fullPageWrites: true,
    ...(major >= 17 ? { walLevel: 1 } : {}),
    nextXid: 750n,
    nextOid: 24_576,
    nextMulti: 1,
    nextMultiOffset: 0,
    oldestXid: 730,
    oldestXidDb: 1,
    oldestMulti: 1,
    oldestMultiDb: 1,
    time: 0n,
    oldestCommitTsXid: 0,
    newestCommitTsXid: 0,
    oldestActiveXid: 0,
    ...given,
  };
}

/**
 * pg_control of a stock 64-bit build of that major with default settings, but for what is given: in production, no page checksums, its last
 * checkpoint where `checkPointCopy.redo` is.
 */
export function stockControlFile(
  of: {
    readonly major: number;
    readonly systemIdentifier: bigint;
    readonly checkPointCopy: CheckPoint;
  } & Partial<ControlFile>,
): ControlFile {
  const { major, ...given } = of;
  return {
    controlVersion: controlVersionOf(major),
    catalogVersion: catalogVersionOf(major),
    state: CLUSTER_STATE.inProduction,
    time: given.checkPointCopy.time,
    checkPoint: given.checkPointCopy.redo,
    unloggedLsn: FIRST_UNLOGGED_LSN,
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
    blockSizeBytes: BLCKSZ,
    relationSegmentBlocks: RELSEG_BLOCKS,
    walBlockSizeBytes: WAL_PAGE_SIZE,
    walSegmentSizeBytes: WAL_SEGMENT_SIZE,
    nameDataLen: 64,
    indexMaxKeys: 32,
    toastMaxChunkSize: 1996,
    largeObjectBlockSize: 2048,
    float8ByVal: true,
    dataChecksumVersion: 0,
    mockAuthenticationNonce: new Uint8Array(NONCE_BYTES),
    ...given,
  };
}

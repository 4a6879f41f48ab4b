import {
  buildShutdownCheckpointSegment,
  type ControlFile,
  lsn,
  type ShutdownCheckpoint,
  stockCheckPoint,
  stockControlFile,
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
  const { major, dataChecksums, walSegmentSizeBytes } = of;
  return stockControlFile({
    major,
    systemIdentifier: SYSTEM_IDENTIFIER,
    checkPointCopy: stockCheckPoint({ major, redo: CHECKPOINT_LSN, nextXid: 1024n, time: TIME }),
    walSegmentSizeBytes,
    dataChecksumVersion: dataChecksums ? 1 : 0,
    mockAuthenticationNonce: new Uint8Array(32).fill(9),
  });
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

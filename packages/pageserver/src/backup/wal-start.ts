/** The last two members of a backup: `pg_control` and the WAL segment that it points into. */
import {
  assertPostgresMajor,
  buildShutdownCheckpointSegment,
  CLUSTER_STATE,
  decodeCheckPoint,
  decodeControlFile,
  encodeControlFile,
  encodeWalPageHeader,
  type Lsn,
  shutDownControlFile,
  lsn as toLsn,
  WAL_LONG_HEADER_SIZE,
  WAL_PAGE_FLAG,
  WAL_PAGE_MAGIC,
  WAL_PAGE_SIZE,
  WAL_SHORT_HEADER_SIZE,
  type WalSegmentFile,
  walRecordStart,
  walSegmentFileName,
  walSegmentNumber,
  walSegmentStart,
  ZERO_LSN,
} from '@neon-snapshot/postgres';

/** Neon knows no other. */
const TIME_LINE_ID = 1;

export interface WalStartOptions {
  readonly major: number;
  /** As stored. */
  readonly controlFile: Uint8Array;
  readonly checkpoint: Uint8Array;
  readonly lsn: Lsn;
  /** Start of the record that ends at `lsn`; undefined where unknown. */
  readonly prevLsn: Lsn | undefined;
}

export interface WalStart {
  readonly controlFile: Uint8Array;
  readonly segments: readonly WalSegmentFile[];
}

/** For Neon's computes, which take the WAL position from `neon.signal` and `redo` and look for no checkpoint record. */
export function computeWalStart(options: WalStartOptions): WalStart {
  const { major, lsn } = options;
  const controlFile = decodeControlFile(options.controlFile);
  const segmentSize = controlFile.walSegmentSizeBytes;
  const checkPoint = decodeCheckPoint(options.checkpoint, major);
  return {
    controlFile: encodeControlFile({
      ...controlFile,
      state: CLUSTER_STATE.shutDown,
      checkPoint: ZERO_LSN,
      checkPointCopy: { ...checkPoint, redo: walRecordStart(lsn, segmentSize) },
    }),
    segments: [emptySegment({ major, lsn, segmentSize, systemIdentifier: controlFile.systemIdentifier })],
  };
}

/** For stock Postgres: a shutdown checkpoint right behind `lsn`, so that it starts without recovery. */
export function stockWalStart(options: WalStartOptions): WalStart {
  const { major, lsn, prevLsn } = options;
  const controlFile = decodeControlFile(options.controlFile);
  const checkpoint = buildShutdownCheckpointSegment({
    major: assertPostgresMajor(major),
    lsn,
    previousRecord: prevLsn,
    timeLineId: TIME_LINE_ID,
    segmentSize: controlFile.walSegmentSizeBytes,
    systemIdentifier: controlFile.systemIdentifier,
    checkPoint: { ...decodeCheckPoint(options.checkpoint, major), oldestActiveXid: 0 },
  });
  return {
    controlFile: encodeControlFile(shutDownControlFile(controlFile, checkpoint)),
    segments: checkpoint.segments,
  };
}

/** Whether the stored checkpoint is a shutdown checkpoint that ends at the LSN. */
export function isCleanShutdown({ checkpoint, lsn, major }: WalStartOptions): boolean {
  return decodeCheckPoint(checkpoint, major).redo === lsn;
}

interface EmptySegmentOptions {
  readonly major: number;
  readonly lsn: Lsn;
  readonly segmentSize: number;
  readonly systemIdentifier: bigint;
}

/** Zeros with page headers where a reader that starts at `lsn` looks; what lies before it on its page counts as an earlier record. */
function emptySegment({ major, lsn, segmentSize, systemIdentifier }: EmptySegmentOptions): WalSegmentFile {
  const segno = walSegmentNumber(lsn, segmentSize);
  const start = walSegmentStart(segno, segmentSize);
  const bytes = new Uint8Array(segmentSize);
  const offset = Number(lsn - start);
  const pageOffset = offset - (offset % WAL_PAGE_SIZE);
  const inPage = offset - pageOffset;
  const common = { magic: WAL_PAGE_MAGIC[assertPostgresMajor(major)], timeLineId: TIME_LINE_ID };
  const isFirstPage = pageOffset === 0;
  const continued = isFirstPage && inPage > 0;
  const segment = { systemIdentifier, segmentSize, blockSize: WAL_PAGE_SIZE };
  encodeWalPageHeader(
    {
      ...common,
      flags: WAL_PAGE_FLAG.longHeader | (continued ? WAL_PAGE_FLAG.firstIsContinuation : 0),
      pageAddress: start,
      remainingLength: continued ? Math.max(0, inPage - WAL_LONG_HEADER_SIZE) : 0,
      segment,
    },
    bytes,
  );
  if (!isFirstPage)
    encodeWalPageHeader(
      {
        ...common,
        flags: inPage > 0 ? WAL_PAGE_FLAG.firstIsContinuation : 0,
        pageAddress: toLsn(start + BigInt(pageOffset)),
        remainingLength: inPage > 0 ? Math.max(0, inPage - WAL_SHORT_HEADER_SIZE) : 0,
      },
      bytes,
      pageOffset,
    );
  return { fileName: walSegmentFileName(TIME_LINE_ID, segno, segmentSize), bytes };
}

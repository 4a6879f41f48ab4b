import { CHECK_POINT_SIZE, type CheckPoint, decodeCheckPoint } from './check-point.ts';
import { formatLsn, type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import { assertWalPages } from './wal-page.ts';
import { decodeWalRecord } from './wal-record.ts';
import { RecordCursor } from './wal-record-cursor.ts';
import { RESOURCE_MANAGER, RESOURCE_MANAGER_INFO_MASK, XLOG_INFO } from './wal-resource-manager.ts';

export interface ReadCheckpointRecordOptions {
  /** The whole segment that holds `lsn`. */
  readonly segment: Uint8Array;
  /** Needed only for a record that crosses the segment's end. */
  readonly nextSegment?: Uint8Array;
  /** LSN of the segment's first byte. */
  readonly segmentStart: Lsn;
  /** Start of the record: pg_control's `checkPoint`. */
  readonly lsn: Lsn;
  readonly major: number;
}

export interface CheckpointRecord {
  readonly checkPoint: CheckPoint;
  readonly isShutdown: boolean;
  readonly recordStart: Lsn;
  /** Where the next record starts (before any page header): a multiple of 8. */
  readonly recordEnd: Lsn;
}

/** Reads one checkpoint record; throws `POSTGRES_INVALID` where there is no valid one, with the reason. */
export function readCheckpointRecord(options: ReadCheckpointRecordOptions): CheckpointRecord {
  const { segment, segmentStart, major } = options;
  assertWalPages(segment, 'read checkpoint record');
  const segmentSize = segment.length;
  const first = Number(segmentStart / BigInt(segmentSize));
  const cursor = new RecordCursor({
    major,
    segmentSize,
    segment: (segno) => [segment, options.nextSegment][segno - first],
  });
  const result = cursor.readRecord(options.lsn);
  if (result.kind !== 'record') {
    throw invalid(options.lsn, result.kind === 'fault' ? result.fault.detail : 'the record was given up');
  }
  const { start, end, bytes } = result.record;
  const { header, mainData } = decodeWalRecord(bytes, major);
  const info = header.info & RESOURCE_MANAGER_INFO_MASK;
  const isShutdown = info === XLOG_INFO.checkpointShutdown;
  const isCheckpoint = isShutdown || info === XLOG_INFO.checkpointOnline;
  if (
    header.resourceManager !== RESOURCE_MANAGER.xlog ||
    !isCheckpoint ||
    mainData.length !== CHECK_POINT_SIZE
  ) {
    throw invalid(options.lsn, `it is of resource manager ${header.resourceManager}, info ${header.info}`);
  }
  return {
    checkPoint: decodeCheckPoint(mainData, major),
    isShutdown,
    recordStart: start,
    recordEnd: lsn(end),
  };
}

function invalid(position: Lsn, detail: string): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_INVALID',
    operation: 'read checkpoint record',
    message: `There is no valid checkpoint record at ${formatLsn(position)}: ${detail}`,
    context: { lsn: formatLsn(position) },
  });
}

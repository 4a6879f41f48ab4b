/**
 * The WAL that a stopped cluster needs to start: one shutdown checkpoint record at a given place, in segments that
 * are otherwise empty. Stock Postgres starts from it without recovery and goes on writing after it.
 */
import { CHECK_POINT_SIZE, type CheckPoint, encodeCheckPoint } from './check-point.ts';
import { CLUSTER_STATE, type ControlFile } from './control-file.ts';
import { alignLsn, formatLsn, type Lsn, lsn, ZERO_LSN } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import {
  encodeWalPageHeader,
  WAL_PAGE_FLAG,
  WAL_PAGE_SIZE,
  walPageHeaderSize,
  walPageMagic,
  walRecordStart,
} from './wal-page.ts';
import { encodeWalRecord } from './wal-record-header.ts';
import { RESOURCE_MANAGER, XLOG_INFO } from './wal-resource-manager.ts';
import {
  assertWalSegmentSize,
  walSegmentFileName,
  walSegmentNumber,
  walSegmentStart,
} from './wal-segment-name.ts';

export interface ShutdownCheckpointOptions {
  readonly major: number;
  readonly systemIdentifier: bigint;
  /** Of the pages; also becomes the checkpoint's `thisTimeLineId`. */
  readonly timeLineId: number;
  /** Where WAL ended; the record starts at the next place where one may ({@link walRecordStart}). */
  readonly lsn: Lsn;
  /** Start of the record before, which this one links to; default 0: none that could be read. */
  readonly previousRecord?: Lsn | undefined;
  /** `redo` and `thisTimeLineId` are replaced. */
  readonly checkPoint: CheckPoint;
  /** Bytes: a power of two from 1 MiB to 1 GiB. */
  readonly segmentSize: number;
}

export interface WalSegmentFile {
  readonly fileName: string;
  /** `segmentSize` bytes. */
  readonly bytes: Uint8Array;
}

export interface ShutdownCheckpoint {
  /** One file; two where the record crosses the end of the first. All of them are needed. */
  readonly segments: readonly WalSegmentFile[];
  readonly recordStart: Lsn;
  /** Where WAL goes on: a multiple of 8. */
  readonly recordEnd: Lsn;
  /** What the record holds: also pg_control's `checkPointCopy`. */
  readonly checkPoint: CheckPoint;
}

const SHORT_MAIN_DATA = 255;
const LSN_END = 1n << 64n;

/** Makes the segments. Throws `POSTGRES_OUT_OF_RANGE` or `POSTGRES_UNSUPPORTED_VERSION`. */
export function buildShutdownCheckpointSegment(options: ShutdownCheckpointOptions): ShutdownCheckpoint {
  assertWalSegmentSize(options.segmentSize);
  assertRoom(options);
  const recordStart = walRecordStart(options.lsn, options.segmentSize);
  const checkPoint = { ...options.checkPoint, redo: recordStart, thisTimeLineId: options.timeLineId };
  const { major, previousRecord = ZERO_LSN } = options;
  const record = encodeShutdownCheckpoint({ checkPoint, major, previous: previousRecord });
  const writer = new SegmentWriter(options);
  const end = writer.writeRecord(record, recordStart);
  return { segments: writer.files(), recordStart, recordEnd: alignLsn(end), checkPoint };
}

/** pg_control of a cluster that was shut down by that checkpoint and needs no recovery. */
export function shutDownControlFile(
  controlFile: ControlFile,
  checkpoint: Pick<ShutdownCheckpoint, 'recordStart' | 'checkPoint'>,
): ControlFile {
  return {
    ...controlFile,
    state: CLUSTER_STATE.shutDown,
    checkPoint: checkpoint.recordStart,
    checkPointCopy: checkpoint.checkPoint,
    minRecoveryPoint: ZERO_LSN,
    minRecoveryPointTimeLineId: 0,
    backupStartPoint: ZERO_LSN,
    backupEndPoint: ZERO_LSN,
    backupEndRequired: false,
  };
}

function encodeShutdownCheckpoint(of: {
  readonly checkPoint: CheckPoint;
  readonly major: number;
  readonly previous: Lsn;
}): Uint8Array {
  const { checkPoint, major, previous } = of;
  const content = new Uint8Array(2 + CHECK_POINT_SIZE);
  content.set([SHORT_MAIN_DATA, CHECK_POINT_SIZE]);
  content.set(encodeCheckPoint(checkPoint, major), 2);
  const resourceManager = RESOURCE_MANAGER.xlog;
  return encodeWalRecord({ xid: 0, previous, info: XLOG_INFO.checkpointShutdown, resourceManager }, content);
}

/** Segments as they come into being while one record is written over pages. */
class SegmentWriter {
  readonly #options: ShutdownCheckpointOptions;
  readonly #segments = new Map<number, Uint8Array>();

  constructor(options: ShutdownCheckpointOptions) {
    this.#options = options;
  }

  /** Returns the LSN after the last byte. */
  writeRecord(record: Uint8Array, start: Lsn): Lsn {
    let position = start;
    let written = 0;
    // What comes before the record on its page counts as the end of a record from an earlier page.
    this.#beginPage(pageOf(position), Number(position % BigInt(WAL_PAGE_SIZE)));
    while (written < record.length) {
      const inPage = Number(position % BigInt(WAL_PAGE_SIZE));
      const part = record.subarray(written, written + WAL_PAGE_SIZE - inPage);
      this.#segmentAt(position).set(part, Number(position % BigInt(this.#options.segmentSize)));
      written += part.length;
      position = lsn(position + BigInt(part.length));
      if (written === record.length) break;
      const headerSize = walPageHeaderSize(position, this.#options.segmentSize);
      this.#beginPage(position, headerSize + record.length - written);
      position = lsn(position + BigInt(headerSize));
    }
    return position;
  }

  files(): WalSegmentFile[] {
    const { timeLineId, segmentSize } = this.#options;
    return [...this.#segments].map(([segno, bytes]) => ({
      fileName: walSegmentFileName(timeLineId, segno, segmentSize),
      bytes,
    }));
  }

  /** Writes the header of the page at `pageAddress`, whose continued record ends at `continuedUpTo` of the page. */
  #beginPage(pageAddress: Lsn, continuedUpTo: number): void {
    const { segmentSize } = this.#options;
    const remainingLength = continuedUpTo - walPageHeaderSize(pageAddress, segmentSize);
    const bytes = this.#segmentAt(pageAddress);
    this.#encodeHeader(bytes, { pageAddress, remainingLength });
  }

  #segmentAt(position: Lsn): Uint8Array {
    const { segmentSize } = this.#options;
    const segno = walSegmentNumber(position, segmentSize);
    const existing = this.#segments.get(segno);
    if (existing !== undefined) return existing;
    const created = new Uint8Array(segmentSize);
    this.#segments.set(segno, created);
    // A reader looks at a segment's first page whichever page it wants.
    this.#encodeHeader(created, { pageAddress: walSegmentStart(segno, segmentSize), remainingLength: 0 });
    return created;
  }

  #encodeHeader(
    bytes: Uint8Array,
    page: { readonly pageAddress: Lsn; readonly remainingLength: number },
  ): void {
    const { major, timeLineId, segmentSize, systemIdentifier } = this.#options;
    const offset = Number(page.pageAddress % BigInt(segmentSize));
    const continued = page.remainingLength > 0 ? WAL_PAGE_FLAG.firstIsContinuation : 0;
    const flags = (offset === 0 ? WAL_PAGE_FLAG.longHeader : 0) | continued;
    const header = { magic: walPageMagic(major), timeLineId, flags, ...page };
    const segment = { systemIdentifier, segmentSize, blockSize: WAL_PAGE_SIZE };
    encodeWalPageHeader(offset === 0 ? { ...header, segment } : header, bytes, offset);
  }
}

function assertRoom(options: ShutdownCheckpointOptions): void {
  if (options.lsn < LSN_END - 2n * BigInt(options.segmentSize)) return;
  throw new PostgresFormatError({
    code: 'POSTGRES_OUT_OF_RANGE',
    operation: 'build shutdown checkpoint',
    message: `No WAL record fits after ${formatLsn(options.lsn)}`,
    context: { lsn: formatLsn(options.lsn) },
  });
}

function pageOf(position: Lsn): Lsn {
  return lsn(position - (position % BigInt(WAL_PAGE_SIZE)));
}

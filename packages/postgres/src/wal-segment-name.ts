/** Names and numbers of WAL segment files. Source: xlog_internal.h. */
import { type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

/** `DEFAULT_XLOG_SEG_SIZE`: 16 MiB. */
export const WAL_SEGMENT_SIZE_DEFAULT = 16 * 1024 * 1024;

const SEGMENT_SIZE_MIN = 1024 * 1024;
const SEGMENT_SIZE_MAX = 1024 * 1024 * 1024;
const SEGMENT_NAME = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;
const U32_MAX = 0xffff_ffff;

export interface WalSegmentName {
  readonly timeLineId: number;
  /** LSN divided by the segment size: below 2^44. */
  readonly segno: number;
}

/** Throws `POSTGRES_OUT_OF_RANGE` for a size that is not a power of two from 1 MiB to 1 GiB. */
export function assertWalSegmentSize(segmentSize: number): void {
  const isPower = Number.isInteger(Math.log2(segmentSize));
  if (isPower && segmentSize >= SEGMENT_SIZE_MIN && segmentSize <= SEGMENT_SIZE_MAX) return;
  throw outOfRange(`WAL segment size ${segmentSize} is not a power of two from 1 MiB to 1 GiB`);
}

/** The number of the segment that holds the byte at `position`. */
export function walSegmentNumber(position: Lsn, segmentSize: number): number {
  return Number(position / BigInt(segmentSize));
}

/** LSN of a segment's first byte. */
export function walSegmentStart(segno: number, segmentSize: number): Lsn {
  return lsn(BigInt(segno) * BigInt(segmentSize));
}

/** `XLogFileName`: 24 upper-case hex digits, such as `000000010000000000000001`. */
export function walSegmentFileName(timeLineId: number, segno: number, segmentSize: number): string {
  assertWalSegmentSize(segmentSize);
  const perId = segmentsPerId(segmentSize);
  if (!Number.isInteger(timeLineId) || timeLineId < 0 || timeLineId > U32_MAX) {
    throw outOfRange(`TimeLineID ${timeLineId} is not a u32`);
  }
  if (!Number.isInteger(segno) || segno < 0 || segno >= perId * 2 ** 32) {
    throw outOfRange(`WAL segment number ${segno} is outside the 64-bit WAL`);
  }
  return [timeLineId, Math.floor(segno / perId), segno % perId].map(hex8).join('');
}

/** The inverse of {@link walSegmentFileName}; `undefined` for any other name. */
export function parseWalSegmentFileName(name: string, segmentSize: number): WalSegmentName | undefined {
  assertWalSegmentSize(segmentSize);
  const match = SEGMENT_NAME.exec(name);
  if (match === null) return undefined;
  const [timeLineId = 0, id = 0, index = 0] = match.slice(1).map((digits) => Number.parseInt(digits, 16));
  const perId = segmentsPerId(segmentSize);
  return index < perId ? { timeLineId, segno: id * perId + index } : undefined;
}

function segmentsPerId(segmentSize: number): number {
  return 2 ** 32 / segmentSize;
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

function outOfRange(message: string): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_OUT_OF_RANGE',
    operation: 'name WAL segment',
    message,
  });
}

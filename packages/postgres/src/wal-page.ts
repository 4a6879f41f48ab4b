/**
 * WAL page headers (XLogPageHeaderData, XLogLongPageHeaderData of xlog_internal.h), little-endian: 24 bytes, 40 on
 * the first page of a segment and only there.
 */
import { type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import { assertPostgresMajor, WAL_PAGE_MAGIC } from './postgres-major.ts';
import { decodeStruct, encodeStruct, type StructField } from './struct-layout.ts';

/** `XLOG_BLCKSZ`: bytes of a WAL page. */
export const WAL_PAGE_SIZE = 8192;
export const WAL_SHORT_HEADER_SIZE = 24;
export const WAL_LONG_HEADER_SIZE = 40;

/** Bits of `xlp_info`. */
export const WAL_PAGE_FLAG = {
  /** The page begins with the rest of a record from the page before. */
  firstIsContinuation: 1,
  longHeader: 2,
  backupRemovable: 4,
  /** The record that the page before began was given up. */
  firstIsOverwriteContinuation: 8,
} as const;

export interface WalPageHeader {
  readonly magic: number;
  readonly flags: number;
  readonly timeLineId: number;
  /** LSN of the page's first byte. */
  readonly pageAddress: Lsn;
  /** Bytes of the continued record on this page and after; 0 where none is continued. */
  readonly remainingLength: number;
  /** Only where `flags` has `longHeader`. */
  readonly segment?: WalSegmentFacts;
}

export interface WalSegmentFacts {
  readonly systemIdentifier: bigint;
  readonly segmentSize: number;
  readonly blockSize: number;
}

export const WAL_SHORT_HEADER_LAYOUT = [
  { name: 'magic', type: 'u16', offset: 0 },
  { name: 'flags', type: 'u16', offset: 2 },
  { name: 'timeLineId', type: 'u32', offset: 4 },
  { name: 'pageAddress', type: 'lsn', offset: 8 },
  { name: 'remainingLength', type: 'u32', offset: 16 },
] as const satisfies readonly StructField[];

export const WAL_LONG_HEADER_LAYOUT = [
  { name: 'systemIdentifier', type: 'u64', offset: 24 },
  { name: 'segmentSize', type: 'u32', offset: 32 },
  { name: 'blockSize', type: 'u32', offset: 36 },
] as const satisfies readonly StructField[];

/** Reads the header at `baseOffset` without judging it; throws `POSTGRES_TRUNCATED`. */
export function decodeWalPageHeader(bytes: Uint8Array, baseOffset = 0): WalPageHeader {
  const options = { operation: 'decode WAL page header', baseOffset };
  const header = decodeStruct(WAL_SHORT_HEADER_LAYOUT, bytes, options);
  if ((header.flags & WAL_PAGE_FLAG.longHeader) === 0) return header;
  return { ...header, segment: decodeStruct(WAL_LONG_HEADER_LAYOUT, bytes, options) };
}

/** Writes the header at `baseOffset`; the long part where `header.segment` is given. */
export function encodeWalPageHeader(header: WalPageHeader, bytes: Uint8Array, baseOffset = 0): void {
  const target = { bytes, baseOffset, operation: 'encode WAL page header' };
  encodeStruct(WAL_SHORT_HEADER_LAYOUT, header, target);
  if (header.segment !== undefined) encodeStruct(WAL_LONG_HEADER_LAYOUT, header.segment, target);
}

/** Size of the page header at a page's address. */
export function walPageHeaderSize(pageAddress: Lsn, segmentSize: number): number {
  return pageAddress % BigInt(segmentSize) === 0n ? WAL_LONG_HEADER_SIZE : WAL_SHORT_HEADER_SIZE;
}

/**
 * Where a record starts that is written at `position`: rounded up to 8, past the page header where that is a page
 * start or lies inside the header.
 */
export function walRecordStart(position: Lsn, segmentSize: number): Lsn {
  const aligned = (position + 7n) & ~7n;
  const page = lsn(aligned - (aligned % BigInt(WAL_PAGE_SIZE)));
  const firstByte = page + BigInt(walPageHeaderSize(page, segmentSize));
  return lsn(aligned < firstByte ? firstByte : aligned);
}

/** The first two bytes of a major's WAL pages. */
export function walPageMagic(major: number): number {
  return WAL_PAGE_MAGIC[assertPostgresMajor(major)];
}

export interface WalPageExpectation {
  readonly major: number;
  readonly pageAddress: Lsn;
  readonly segmentSize: number;
  readonly systemIdentifier?: bigint | undefined;
}

/** Why a page is not the one that belongs at its address (`XLogReaderValidatePageHeader`), or `undefined`. */
export function findWalPageFault(
  header: WalPageHeader,
  expected: WalPageExpectation,
):
  | { readonly kind: 'zeros' | 'stale-page' | 'invalid-page' | 'foreign-page'; readonly detail: string }
  | undefined {
  const { magic, flags, pageAddress, segment } = header;
  const invalid = (detail: string) => ({ kind: 'invalid-page' as const, detail });
  if (magic === 0 && flags === 0 && pageAddress === 0n) return { kind: 'zeros', detail: 'page is empty' };
  if (magic !== walPageMagic(expected.major)) return invalid(`magic is 0x${magic.toString(16)}`);
  if ((flags & ~0xf) !== 0) return invalid(`flags are 0x${flags.toString(16)}`);
  const isFirst = pageAddress % BigInt(expected.segmentSize) === 0n;
  if (pageAddress !== expected.pageAddress) {
    return { kind: 'stale-page', detail: `page address is ${pageAddress.toString(16)} (hex)` };
  }
  if (isFirst !== (segment !== undefined)) return invalid('long header is missing or out of place');
  if (segment === undefined) return undefined;
  if (segment.segmentSize !== expected.segmentSize) return invalid(`segment size is ${segment.segmentSize}`);
  if (segment.blockSize !== WAL_PAGE_SIZE) return invalid(`block size is ${segment.blockSize}`);
  const { systemIdentifier } = expected;
  if (systemIdentifier !== undefined && segment.systemIdentifier !== systemIdentifier) {
    return { kind: 'foreign-page', detail: `system identifier is ${segment.systemIdentifier}` };
  }
  return undefined;
}

/** Throws `POSTGRES_TRUNCATED` unless `bytes` is a whole number of WAL pages. */
export function assertWalPages(bytes: Uint8Array, operation: string): void {
  if (bytes.length > 0 && bytes.length % WAL_PAGE_SIZE === 0) return;
  throw new PostgresFormatError({
    code: 'POSTGRES_TRUNCATED',
    operation,
    message: `${operation}: WAL of ${bytes.length} bytes is not a whole number of ${WAL_PAGE_SIZE}-byte pages`,
    context: { size: bytes.length },
  });
}

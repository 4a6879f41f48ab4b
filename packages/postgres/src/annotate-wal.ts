import { type Annotation, annotateStruct, formatFlags, formatHex } from './annotation.ts';
import { formatLsn, type Lsn, lsn } from './lsn.ts';
import { isPostgresFormatError, PostgresFormatError } from './postgres-format-error.ts';
import { majorOfWalPageMagic, type PostgresMajor } from './postgres-major.ts';
import type { FieldValue } from './struct-layout.ts';
import {
  assertWalPages,
  decodeWalPageHeader,
  WAL_LONG_HEADER_LAYOUT,
  WAL_PAGE_FLAG,
  WAL_PAGE_SIZE,
  WAL_SHORT_HEADER_LAYOUT,
  walPageHeaderSize,
} from './wal-page.ts';
import { readWalRecords } from './wal-reader.ts';
import { decodeWalRecord, type WalBlockReference, type WalRecordContent } from './wal-record.ts';
import type { WalRecord } from './wal-record-cursor.ts';
import { WAL_RECORD_HEADER_LAYOUT, WAL_RECORD_HEADER_SIZE } from './wal-record-header.ts';
import { resourceManagerName } from './wal-resource-manager.ts';
import { assertWalSegmentSize } from './wal-segment-name.ts';

interface Segment {
  readonly bytes: Uint8Array;
  readonly start: Lsn;
  readonly segmentSize: number;
  readonly major: PostgresMajor;
}

/**
 * Explains a WAL segment from its first byte: page headers and records in order, and at the end why it ends.
 * A file cut to whole pages will do. Throws only where the first page header is unusable.
 */
export function* annotateWalSegment(bytes: Uint8Array): Generator<Annotation> {
  const segment = openSegment(bytes);
  const records = readWalRecords({
    ...segment,
    segment: (segno) =>
      segno === Number(segment.start / BigInt(segment.segmentSize)) ? segment.bytes : undefined,
  });
  let nextPage = 0;
  let end: Annotation | undefined;
  while (end === undefined) {
    const step = nextRecord(records, segment);
    const upTo = 'end' in step ? step.end.offset : Number(step.record.start - segment.start);
    // Pages that only continue a record come before the next record, where their bytes are.
    for (; nextPage < bytes.length && nextPage <= upTo; nextPage += WAL_PAGE_SIZE) {
      yield* annotatePageHeader(segment, nextPage);
    }
    if ('end' in step) end = step.end;
    else yield* annotateRecord(segment, step.record);
  }
  yield end;
}

function openSegment(bytes: Uint8Array): Segment {
  const operation = 'annotate WAL segment';
  assertWalPages(bytes, operation);
  const { magic, segment, pageAddress } = decodeWalPageHeader(bytes);
  const major = majorOfWalPageMagic(magic);
  if (major === undefined || segment === undefined) {
    throw new PostgresFormatError({
      code: 'POSTGRES_INVALID',
      operation,
      message: `This is no WAL segment of a supported major: magic ${formatHex(magic, 4)}`,
      context: { magic },
    });
  }
  assertWalSegmentSize(segment.segmentSize);
  if (pageAddress % BigInt(segment.segmentSize) !== 0n) {
    throw new PostgresFormatError({
      code: 'POSTGRES_INVALID',
      operation,
      message: `The first page has address ${formatLsn(pageAddress)}, where no segment of ${segment.segmentSize} bytes starts`,
      context: { pageAddress: formatLsn(pageAddress), segmentSize: segment.segmentSize },
    });
  }
  return {
    bytes: bytes.subarray(0, segment.segmentSize),
    start: pageAddress,
    segmentSize: segment.segmentSize,
    major,
  };
}

function nextRecord(
  records: ReturnType<typeof readWalRecords>,
  segment: Segment,
): { readonly record: WalRecord } | { readonly end: Annotation } {
  try {
    const { done, value } = records.next();
    if (done !== true) return { record: value };
    const offset = Number(value.lsn - segment.start);
    const text = `${formatLsn(value.lsn)}, ${value.reason}: ${value.detail}`;
    return { end: { offset, length: 0, name: 'end of WAL', value: text } };
  } catch (error) {
    if (!isPostgresFormatError(error)) throw error;
    return { end: { offset: segment.bytes.length, length: 0, name: 'error', value: error.message } };
  }
}

function* annotatePageHeader(segment: Segment, offset: number): Generator<Annotation> {
  const address = lsn(segment.start + BigInt(offset));
  const prefix = `page ${formatLsn(address)} `;
  const describe = (name: string, value: FieldValue) => {
    if (name === 'magic') return formatHex(Number(value), 4);
    return name === 'flags' ? formatFlags(Number(value), WAL_PAGE_FLAG) : undefined;
  };
  const { bytes } = segment;
  yield* annotateStruct(WAL_SHORT_HEADER_LAYOUT, bytes, { baseOffset: offset, prefix, describe });
  if (offset === 0) yield* annotateStruct(WAL_LONG_HEADER_LAYOUT, bytes, { prefix });
}

function* annotateRecord(segment: Segment, record: WalRecord): Generator<Annotation> {
  const prefix = `record ${formatLsn(record.start)} `;
  const describe = (name: string, value: FieldValue) => {
    if (name === 'info' || name === 'crc') return formatHex(Number(value), name === 'info' ? 2 : 8);
    if (name !== 'resourceManager') return undefined;
    return `${String(value)} (${resourceManagerName(Number(value)) ?? 'unknown'})`;
  };
  for (const field of annotateStruct(WAL_RECORD_HEADER_LAYOUT, record.bytes, { prefix, describe })) {
    yield { ...field, offset: fileOffset(segment, record.start, field.offset) };
  }
  const length = record.bytes.length - WAL_RECORD_HEADER_SIZE;
  const offset = fileOffset(segment, record.start, WAL_RECORD_HEADER_SIZE);
  yield { offset, length, name: `${prefix}content`, value: describeContent(record, segment.major) };
}

/** Place in the file of a record's byte: page headers in between don't count as the record's. */
function fileOffset(segment: Segment, start: Lsn, index: number): number {
  let position = Number(start - segment.start);
  let rest = index;
  for (;;) {
    const room = WAL_PAGE_SIZE - (position % WAL_PAGE_SIZE);
    if (rest < room) return position + rest;
    rest -= room;
    position += room;
    position += walPageHeaderSize(lsn(segment.start + BigInt(position)), segment.segmentSize);
  }
}

function describeContent(record: WalRecord, major: number): string {
  try {
    return summarize(decodeWalRecord(record.bytes, major));
  } catch (error) {
    if (!isPostgresFormatError(error)) throw error;
    return error.message;
  }
}

function summarize(content: WalRecordContent): string {
  const parts = [
    ...content.blocks.map(summarizeBlock),
    `main data ${content.mainData.length} bytes`,
    ...(content.origin === undefined ? [] : [`origin ${content.origin}`]),
    ...(content.topLevelXid === undefined ? [] : [`top-level xid ${content.topLevelXid}`]),
  ];
  return parts.join('; ');
}

function summarizeBlock(block: WalBlockReference): string {
  const { spcNode, dbNode, relNode, forkNum } = block.tag;
  const image = block.image;
  const parts = [
    `block ${block.id}: ${spcNode}/${dbNode}/${relNode} fork ${forkNum} block ${block.blockNumber}`,
    ...(block.willInit ? ['will init'] : []),
    ...(image === undefined
      ? []
      : [`image ${image.bytes.length} bytes${image.apply ? '' : ' (check only)'}`]),
    ...(block.data.length === 0 ? [] : [`data ${block.data.length} bytes`]),
  ];
  return parts.join(', ');
}

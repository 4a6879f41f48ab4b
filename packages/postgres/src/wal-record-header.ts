/** The 24 bytes before every WAL record's content (XLogRecord of xlogrecord.h), little-endian. */
import { type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import { encodeStruct, type StructField } from './struct-layout.ts';
import { WAL_RECORD_CRC_OFFSET, walRecordCrcAt } from './wal-record-crc.ts';

export const WAL_RECORD_HEADER_SIZE = 24;

/** `XLogRecordMaxSize` of xlogrecord.h: longer records are refused. */
export const WAL_RECORD_SIZE_MAX = 1020 * 1024 * 1024;

export interface XLogRecordHeader {
  /** Bytes of the whole record, header included. */
  readonly totalLength: number;
  readonly xid: number;
  /** Start of the record before. */
  readonly previous: Lsn;
  /** High four bits belong to the resource manager. */
  readonly info: number;
  readonly resourceManager: number;
  readonly crc: number;
}

export const WAL_RECORD_HEADER_LAYOUT = [
  { name: 'totalLength', type: 'u32', offset: 0 },
  { name: 'xid', type: 'u32', offset: 4 },
  { name: 'previous', type: 'lsn', offset: 8 },
  { name: 'info', type: 'u8', offset: 16 },
  { name: 'resourceManager', type: 'u8', offset: 17 },
  { name: 'crc', type: 'u32', offset: 20 },
] as const satisfies readonly StructField[];

/** Reads the header without judging it; throws `POSTGRES_TRUNCATED` below 24 bytes. */
export function decodeXLogRecordHeader(bytes: Uint8Array): XLogRecordHeader {
  if (bytes.length < WAL_RECORD_HEADER_SIZE) throw truncated(bytes.length);
  // Read field by field, not by the table: this runs for every record of a WAL.
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_RECORD_HEADER_SIZE);
  return {
    totalLength: view.getUint32(0, true),
    xid: view.getUint32(4, true),
    previous: lsn(view.getBigUint64(8, true)),
    info: view.getUint8(16),
    resourceManager: view.getUint8(17),
    crc: view.getUint32(WAL_RECORD_CRC_OFFSET, true),
  };
}

/** CRC-32C of a whole record whose length is right. */
export function walRecordCrc(record: Uint8Array): number {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  return walRecordCrcAt(view, 0, record.length);
}

/** A record of `content` with its CRC; `totalLength` is made from the content. */
export function encodeWalRecord(
  header: Omit<XLogRecordHeader, 'totalLength' | 'crc'>,
  content: Uint8Array,
): Uint8Array {
  const operation = 'encode WAL record';
  const record = new Uint8Array(WAL_RECORD_HEADER_SIZE + content.length);
  record.set(content, WAL_RECORD_HEADER_SIZE);
  const fields = { ...header, totalLength: record.length, crc: 0 };
  encodeStruct(WAL_RECORD_HEADER_LAYOUT, fields, { bytes: record, operation });
  new DataView(record.buffer).setUint32(WAL_RECORD_CRC_OFFSET, walRecordCrc(record), true);
  return record;
}

function truncated(size: number): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_TRUNCATED',
    operation: 'decode WAL record header',
    message: `A WAL record header needs ${WAL_RECORD_HEADER_SIZE} bytes; found ${size}`,
    context: { size },
  });
}

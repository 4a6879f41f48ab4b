import { BodyReader } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';
import { protocolError } from './pq-error.ts';

/** A column of a row set, in text format. */
export interface PqColumn {
  readonly name: string;
  /** Type OID; 25 is text. */
  readonly typeOid: number;
}

const TEXT_OID = 25;
const INT8_OID = 20;
const NULL_LENGTH = -1;

export const textColumn = (name: string): PqColumn => ({ name, typeOid: TEXT_OID });
export const int8Column = (name: string): PqColumn => ({ name, typeOid: INT8_OID });

/** Body: count i16, then per column: name NUL, table u32, column i16, type u32, type size i16, modifier i32, format i16. */
export function decodeRowDescription(body: Buffer): PqColumn[] {
  const reader = new BodyReader(body, 'RowDescription');
  const count = reader.uint16();
  const columns: PqColumn[] = [];
  for (let index = 0; index < count; index++) {
    const name = reader.cstring();
    reader.bytes(6);
    const typeOid = reader.uint32();
    reader.bytes(6);
    reader.int16();
    columns.push({ name, typeOid });
  }
  reader.end();
  return columns;
}

export function encodeRowDescription(columns: readonly PqColumn[]): Buffer {
  const writer = new BodyWriter().int16(columns.length);
  for (const { name, typeOid } of columns) {
    writer.cstring(name).uint32(0).int16(0).uint32(typeOid);
    writer
      .int16(typeOid === INT8_OID ? 8 : -1)
      .int32(-1)
      .int16(0);
  }
  return writer.finish();
}

/** Body: count i16, then per value: length i32 (-1 is null), bytes. The values are views. */
export function decodeDataRow(body: Buffer, columnCount: number): (Buffer | null)[] {
  const reader = new BodyReader(body, 'DataRow');
  const count = reader.uint16();
  if (count !== columnCount)
    throw protocolError(
      'decode message',
      `a row has ${count} values, its description ${columnCount} columns`,
    );
  const values: (Buffer | null)[] = [];
  for (let index = 0; index < count; index++) {
    const length = reader.int32();
    values.push(length === NULL_LENGTH ? null : reader.bytes(length));
  }
  reader.end();
  return values;
}

export function encodeDataRow(values: readonly (string | Uint8Array | null)[]): Buffer {
  const writer = new BodyWriter().int16(values.length);
  for (const value of values) {
    if (value === null) {
      writer.int32(NULL_LENGTH);
      continue;
    }
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    writer.int32(bytes.length).bytes(bytes);
  }
  return writer.finish();
}

import { BeReader, BeWriter } from './bytes.ts';
import { type NeonWalRecord, readWalRecord, writeWalRecord } from './wal-record.ts';

/*
 * What a delta layer holds for a (key, LSN), bincode BE:
 *   00000000 u64 n, n bytes   image
 *   00000001 record           see wal-record.ts
 */

/** The whole state of a key, or a change to it. */
export type Value =
  | { readonly kind: 'image'; readonly image: Uint8Array }
  | { readonly kind: 'record'; readonly record: NeonWalRecord };

/** Decodes a value of a delta layer; the parts are copies. Throws `NEON_LAYER_INVALID_VALUE`. */
export function decodeValue(bytes: Uint8Array): Value {
  return readValue(new BeReader(bytes, 'A value of a delta layer'));
}

/** {@link decodeValue} with views of the bytes for parts: a third of the time, for who applies a value at once. */
export function decodeValueView(bytes: Uint8Array): Value {
  const willInitByte = bytes[POSTGRES_MARK.length] ?? 2;
  // Most values by far: a record of Postgres that fills the value. Whatever is wrong with it the reader finds.
  if (willInitByte < 2 && isPostgresRecord(bytes)) {
    const record = bytes.subarray(POSTGRES_RECORD_OFFSET);
    return { kind: 'record', record: { kind: 'postgres', willInit: willInitByte === 1, record } };
  }
  return readValue(new BeReader(bytes, 'A value of a delta layer', true));
}

/** Kind of the value and kind of the record, then `will_init` and a u64 length. */
const POSTGRES_MARK = [0, 0, 0, 1, 0, 0, 0, 0] as const;
const POSTGRES_LENGTH_OFFSET = POSTGRES_MARK.length + 1;
const POSTGRES_RECORD_OFFSET = POSTGRES_LENGTH_OFFSET + 8;

function isPostgresRecord(bytes: Uint8Array): boolean {
  for (let index = 0; index < POSTGRES_MARK.length; index += 1) {
    if (bytes[index] !== POSTGRES_MARK[index]) return false;
  }
  let length = 0;
  for (let index = POSTGRES_LENGTH_OFFSET; index < POSTGRES_RECORD_OFFSET; index += 1) {
    length = length * 256 + (bytes[index] ?? 0);
  }
  return length === bytes.length - POSTGRES_RECORD_OFFSET;
}

function readValue(reader: BeReader): Value {
  const kind = reader.u32();
  if (kind > 1) reader.fail(`the kind ${kind} is not known, known are 0 (image) and 1 (record)`);
  const value: Value =
    kind === 0
      ? { kind: 'image', image: reader.bytes(reader.count(1)) }
      : { kind: 'record', record: readWalRecord(reader) };
  reader.end();
  return value;
}

export function encodeValue(value: Value): Uint8Array {
  // Nearly all values, each made in one piece: a writer that grows takes several times as long.
  if (value.kind === 'image') return encodeTail(value.image, IMAGE_OFFSET);
  const { record } = value;
  if (record.kind === 'postgres') {
    const bytes = encodeTail(record.record, POSTGRES_RECORD_OFFSET);
    bytes.set(POSTGRES_MARK);
    bytes[POSTGRES_MARK.length] = record.willInit ? 1 : 0;
    return bytes;
  }
  const writer = new BeWriter();
  writeWalRecord(writer.u32(1), record);
  return writer.finish();
}

/** Kind of the value, then a u64 length. */
const IMAGE_OFFSET = 4 + 8;

/** Zeros, and from `offset` on the bytes, their u64 length right before them. */
function encodeTail(tail: Uint8Array, offset: number): Uint8Array {
  const bytes = new Uint8Array(offset + tail.length);
  bytes.set(tail, offset);
  new DataView(bytes.buffer).setUint32(offset - 4, tail.length);
  return bytes;
}

/** Whether a value needs no older state: the bit that a delta layer's index keeps with it. */
export function willInit(value: Value): boolean {
  return value.kind === 'image' || (value.record.kind === 'postgres' && value.record.willInit);
}

import { crc32c } from './crc32c.ts';

/** The CRC covers the content first and then the header without its last four bytes. */
export const WAL_RECORD_CRC_OFFSET = 20;
const CONTENT_OFFSET = 24;

/** Reflected polynomial of CRC-32C. */
const POLYNOMIAL = 0x82f63b78;

/** From here on the native CRC wins; below, its call costs more than the bytes. */
const NATIVE_SIZE_MIN = 512;

/** Eight tables of 256: table `n` is the CRC of a byte with `n` zero bytes behind it. */
const TABLES = makeTables();

/** CRC-32C of the whole record (of at least 24 bytes) that lies at `offset`. */
export function walRecordCrcAt(view: DataView, offset: number, length: number): number {
  const content = offset + CONTENT_OFFSET;
  const crc =
    length < NATIVE_SIZE_MIN
      ? crcOf(-1, view, content, offset + length)
      : ~crc32c(new Uint8Array(view.buffer, view.byteOffset + content, length - CONTENT_OFFSET));
  return ~crcOf(crc, view, offset, offset + WAL_RECORD_CRC_OFFSET) >>> 0;
}

/** Slicing by 8. `crc` goes in and comes out without the final xor. */
function crcOf(crc: number, view: DataView, start: number, end: number): number {
  const tables = TABLES;
  let value = crc;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    const low = value ^ view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    value =
      (tables[1792 + (low & 0xff)] as number) ^
      (tables[1536 + ((low >>> 8) & 0xff)] as number) ^
      (tables[1280 + ((low >>> 16) & 0xff)] as number) ^
      (tables[1024 + (low >>> 24)] as number) ^
      (tables[768 + (high & 0xff)] as number) ^
      (tables[512 + ((high >>> 8) & 0xff)] as number) ^
      (tables[256 + ((high >>> 16) & 0xff)] as number) ^
      (tables[high >>> 24] as number);
  }
  for (; at < end; at++) {
    value = (tables[(value ^ view.getUint8(at)) & 0xff] as number) ^ (value >>> 8);
  }
  return value;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256] as number;
    tables[at] = (tables[before & 0xff] as number) ^ (before >>> 8);
  }
  return tables;
}

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
export function walRecordCrcAt(bytes: Uint8Array, offset: number, length: number): number {
  const content = offset + CONTENT_OFFSET;
  const end = offset + length;
  const crc =
    length < NATIVE_SIZE_MIN ? crcOf(-1, bytes, content, end) : ~crc32c(bytes.subarray(content, end));
  return ~crcOf(crc, bytes, offset, offset + WAL_RECORD_CRC_OFFSET) >>> 0;
}

/** Slicing by 8. `crc` goes in and comes out without the final xor. */
function crcOf(crc: number, bytes: Uint8Array, start: number, end: number): number {
  const tables = TABLES;
  let value = crc;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    value ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    value =
      (tables[1792 + (value & 0xff)] as number) ^
      (tables[1536 + ((value >>> 8) & 0xff)] as number) ^
      (tables[1280 + ((value >>> 16) & 0xff)] as number) ^
      (tables[1024 + (value >>> 24)] as number) ^
      (tables[768 + (bytes[at + 4] as number)] as number) ^
      (tables[512 + (bytes[at + 5] as number)] as number) ^
      (tables[256 + (bytes[at + 6] as number)] as number) ^
      (tables[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) {
    value = (tables[(value ^ (bytes[at] as number)) & 0xff] as number) ^ (value >>> 8);
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

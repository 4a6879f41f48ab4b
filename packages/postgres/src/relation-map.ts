/**
 * `pg_filenode.map` (relmapper.c), little-endian: magic, count, pairs of OID and relfilenode, and a CRC-32C of all that.
 * 512 bytes with room for 62 pairs in 14 and 15; 524 with 64 from 16 on.
 */
import { crc32c } from './crc32c.ts';
import { PostgresFormatError, type PostgresFormatErrorCode } from './postgres-format-error.ts';
import { assertPostgresMajor, RELMAP_CAPACITY, RELMAP_SIZE } from './postgres-major.ts';

export interface RelationMapEntry {
  readonly oid: number;
  readonly relNode: number;
}

const MAGIC = 0x592717;
const PAIRS_OFFSET = 8;
const PAIR_SIZE = 8;

/** Decodes a whole file; throws `POSTGRES_TRUNCATED`, `POSTGRES_CHECKSUM` or `POSTGRES_INVALID`. */
export function decodeRelationMap(bytes: Uint8Array, major: number): RelationMapEntry[] {
  const known = assertPostgresMajor(major);
  const size = RELMAP_SIZE[known];
  if (bytes.length !== size) throw fault('POSTGRES_TRUNCATED', `${bytes.length} bytes; expected ${size}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const crcOffset = relationMapCrcOffset(known);
  const magic = view.getInt32(0, true);
  if (magic !== MAGIC)
    throw fault('POSTGRES_INVALID', `magic 0x${(magic >>> 0).toString(16)}; expected 0x592717`);
  const found = view.getUint32(crcOffset, true);
  const expected = crc32c(bytes.subarray(0, crcOffset));
  if (found !== expected) throw fault('POSTGRES_CHECKSUM', `CRC-32C ${found}; computed ${expected}`);
  const count = view.getInt32(4, true);
  if (count < 0 || count > RELMAP_CAPACITY[known]) throw fault('POSTGRES_INVALID', `${count} mappings`);
  return Array.from({ length: count }, (_, index) => {
    const offset = PAIRS_OFFSET + index * PAIR_SIZE;
    return { oid: view.getUint32(offset, true), relNode: view.getUint32(offset + 4, true) };
  });
}

/** Where the CRC of a major's file is: right behind its last pair. */
export function relationMapCrcOffset(major: number): number {
  return PAIRS_OFFSET + RELMAP_CAPACITY[assertPostgresMajor(major)] * PAIR_SIZE;
}

function fault(code: PostgresFormatErrorCode, problem: string): PostgresFormatError {
  return new PostgresFormatError({
    code,
    operation: 'decode pg_filenode.map',
    message: `pg_filenode.map: ${problem}`,
  });
}

import {
  BLCKSZ,
  crc32c,
  createPageChecksums,
  RELMAP_SIZE,
  relationMapCrcOffset,
} from '@neon-snapshot/postgres';

const PAGE_HEADER_BYTES = 24;
/** `RELMAPPER_FILEMAGIC`. */
const RELATION_MAP_MAGIC = 0x592717;
const PAGE_LAYOUT_VERSION = 4;

/** Every kind of file that a cluster without user tablespaces has, WAL and pg_control aside. */
export function modelFiles(of: {
  readonly major: number;
  readonly pageCount: number;
}): Record<string, Uint8Array> {
  const text = new TextEncoder();
  const version = text.encode(`${of.major}\n`);
  return {
    PG_VERSION: version,
    'postgresql.conf': text.encode('port = 5433\n'),
    'pg_hba.conf': text.encode('local all all peer\n'),
    'global/pg_filenode.map': makeRelationMap(of.major, [1262]),
    'global/1262': makePages(1, 1),
    'base/1/PG_VERSION': version,
    'base/1/pg_filenode.map': makeRelationMap(of.major, []),
    'base/5/PG_VERSION': version,
    'base/5/pg_filenode.map': makeRelationMap(of.major, [1259]),
    'base/5/1259': makePages(7, 2),
    'base/5/1259_fsm': makePages(3, 3),
    'base/5/1259_vm': makePages(1, 4),
    'base/5/2600': new Uint8Array(0),
    'base/5/16400': makePages(of.pageCount, 5),
    'base/5/16401': new Uint8Array(3 * BLCKSZ),
    'pg_xact/0000': new Uint8Array(BLCKSZ).fill(0x55),
    'pg_multixact/members/0000': new Uint8Array(BLCKSZ),
    'pg_multixact/offsets/0000': new Uint8Array(BLCKSZ),
  };
}

/** Relation pages with headers, checksums from block 0 on, and contents that depend on `seed` and the block. */
export function makePages(count: number, seed: number): Uint8Array {
  const checksums = createPageChecksums({ pagesMax: Math.max(1, count) });
  for (let block = 0; block < count; block += 1) {
    const view = new DataView(checksums.buffer.buffer, checksums.buffer.byteOffset + block * BLCKSZ, BLCKSZ);
    view.setUint16(12, PAGE_HEADER_BYTES, true);
    view.setUint16(14, BLCKSZ / 2, true);
    view.setUint16(16, BLCKSZ, true);
    view.setUint16(18, BLCKSZ + PAGE_LAYOUT_VERSION, true);
    for (let offset = BLCKSZ / 2; offset < BLCKSZ; offset += 4)
      view.setUint32(offset, Math.imul(seed * 65_537 + block, 2_654_435_761) ^ offset, true);
  }
  checksums.stamp(count, 0);
  return checksums.buffer.slice(0, count * BLCKSZ);
}

/** A relation map in which every catalog has its OID as relfilenode. */
function makeRelationMap(major: number, oids: readonly number[]): Uint8Array {
  const crcOffset = relationMapCrcOffset(major);
  const bytes = new Uint8Array(major < 16 ? RELMAP_SIZE[14] : RELMAP_SIZE[16]);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, RELATION_MAP_MAGIC, true);
  view.setInt32(4, oids.length, true);
  for (const [index, oid] of oids.entries()) {
    view.setUint32(8 + index * 8, oid, true);
    view.setUint32(12 + index * 8, oid, true);
  }
  view.setUint32(crcOffset, crc32c(bytes.subarray(0, crcOffset)), true);
  return bytes;
}

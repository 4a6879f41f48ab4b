/** Where the fields of a record's block references lie (xlogrecord.h), for those who change them. */
import { WAL_BLOCK_ID_MAX, WAL_RECORD_HEADER_SIZE } from '@neon-snapshot/postgres';

/** Offsets into the record. */
export interface BlockHeader {
  /** The id; fork and flags follow it. */
  readonly start: number;
  readonly flagsAt: number;
  /** `bimg_info`, where there is an image. */
  readonly imageInfoAt: number | undefined;
  /** Length, hole and `bimg_info` of the image: a range to copy. */
  readonly imageHeader: { readonly start: number; readonly end: number } | undefined;
  /** Tablespace, database, relation: three u32. Missing where the reference is to the relation of the one before. */
  readonly relationAt: number | undefined;
}

export const BLOCK_FORK_MASK = 0x0f;
export const BLOCK_HAS_IMAGE = 0x10;
export const BLOCK_WILL_INIT = 0x40;
const BLOCK_SAME_RELATION = 0x80;
const IMAGE_HAS_HOLE = 0x01;
const ID_TOP_LEVEL_XID = 252;
const TOP_LEVEL_XID_SIZE = 5;
const ORIGIN_SIZE = 3;

/** `BKPIMAGE_*`: 14 has other bits. */
export function imageBits(major: number): { readonly apply: number; readonly compressed: number } {
  return major === 14 ? { apply: 0x04, compressed: 0x02 } : { apply: 0x02, compressed: 0x1c };
}

/** The first `count` block references of a record that was decoded before, so that its lengths are known to be right. */
export function readBlockHeaders(record: Uint8Array, count: number, major: number): BlockHeader[] {
  const { compressed } = imageBits(major);
  const headers: BlockHeader[] = [];
  let at = WAL_RECORD_HEADER_SIZE;
  while (headers.length < count) {
    const id = byteAt(record, at);
    if (id > WAL_BLOCK_ID_MAX) {
      at += id === ID_TOP_LEVEL_XID ? TOP_LEVEL_XID_SIZE : ORIGIN_SIZE;
      continue;
    }
    const start = at;
    const flags = byteAt(record, at + 1);
    at += 4;
    const imageAt = at;
    const hasImage = (flags & BLOCK_HAS_IMAGE) !== 0;
    if (hasImage) {
      const info = byteAt(record, imageAt + 4);
      at += (info & compressed) !== 0 && (info & IMAGE_HAS_HOLE) !== 0 ? 7 : 5;
    }
    const imageEnd = at;
    const hasRelation = (flags & BLOCK_SAME_RELATION) === 0;
    const relationAt = hasRelation ? at : undefined;
    at += hasRelation ? 16 : 4;
    headers.push({
      start,
      flagsAt: start + 1,
      imageInfoAt: hasImage ? imageAt + 4 : undefined,
      imageHeader: hasImage ? { start: imageAt, end: imageEnd } : undefined,
      relationAt,
    });
  }
  return headers;
}

export function byteAt(bytes: Uint8Array, offset: number): number {
  const byte = bytes[offset];
  if (byte === undefined) throw new RangeError(`offset ${offset} is outside ${bytes.length} bytes`);
  return byte;
}

/*
 * Constants of Neon's layer files (pageserver/src/lib.rs, blob_io.rs, disk_btree.rs) and the limits that readers here keep.
 *
 * block 0               summary (88 or 96 bytes, the rest zero)
 * block 1 ...           value blobs, back to back, unaligned; zeros up to the next block
 * index start block ... B-tree nodes, one a block
 * end of file           no trailer, no checksum
 */

/** Bytes of a block of a layer file, and of a Postgres page. */
export const BLOCK_SIZE = 8192;
/** Bytes of a clog page that has a commit timestamp behind it. */
export const CLOG_PAGE_BYTES_MAX = 8200;
/** `STORAGE_FORMAT_VERSION`. */
export const LAYER_FORMAT_VERSION = 3;
/** `IMAGE_FILE_MAGIC`, `DELTA_FILE_MAGIC`. */
export const IMAGE_MAGIC = 0x5a60;
export const DELTA_MAGIC = 0x5a61;
/** Bytes of a stored blob's payload at most: its length has 28 bits. */
export const BLOB_BYTES_MAX = 0x0fff_ffff;
/** Blobs from this raw size on have a 4-byte header and may be compressed. */
export const BLOB_LONG_SIZE_MIN = 128;
/** Largest value that a B-tree leaf can hold, u39. */
export const BTREE_VALUE_MAX = 0x7f_ffff_ffff;
/** A delta's leaf holds twice the offset, plus the will_init bit. */
export const DELTA_OFFSET_MAX = Math.floor(BTREE_VALUE_MAX / 2);
/** Neon uploads no larger layer. */
export const LAYER_BYTES_MAX = 4_500_000_000;
/** Levels of a B-tree at most; 8 levels of the least filled nodes hold more entries than a file has bytes. */
export const BTREE_LEVELS_MAX = 8;
/** Key of a delta layer's index: the key, then the LSN. */
export const DELTA_KEY_SIZE = 26;

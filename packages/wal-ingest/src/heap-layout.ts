/**
 * How heap records are laid out. Neon's builds of Postgres 14 and 15 add the command id to stock's records; for 16 and 17 they
 * leave stock's alone and add a resource manager (134). Which one a WAL holds follows from where it came from: bytes do not tell,
 * and the wrong choice ruins pages without any error.
 */
export type HeapLayout = 'stock' | 'neon';

/** Last major whose heap records Neon changed. */
const PATCHED_HEAP_MAJOR_MAX = 15;

/** Where the main data of heap records has its flags (`XLH_*`), in bytes. */
export interface HeapFlagOffsets {
  readonly insert: number;
  readonly delete: number;
  readonly update: number;
  readonly lock: number;
  readonly multiInsert: number;
  readonly lockUpdated: number;
}

/** heapam_xlog.h, the same in 14 to 17. */
const STOCK: HeapFlagOffsets = {
  insert: 2,
  delete: 7,
  update: 7,
  lock: 7,
  multiInsert: 0,
  lockUpdated: 7,
};
/** heapam_xlog.h of Neon's 14 and 15: the command id stands before the flags of delete and lock. */
const PATCHED: HeapFlagOffsets = { ...STOCK, delete: 13, lock: 13 };
/** neon_xlog.h (resource manager 134); lock_updated has no record there. */
export const NEON_RMGR_FLAGS: HeapFlagOffsets = { ...STOCK, lock: 11 };

/** Offsets in the records of a WAL as it was read. */
export function heapFlagOffsets(major: number, layout: HeapLayout): HeapFlagOffsets {
  return layout === 'neon' && major <= PATCHED_HEAP_MAJOR_MAX ? PATCHED : STOCK;
}

/** Whether heap records have to be rewritten before a Neon page server can read them. */
export function needsConversion(major: number, layout: HeapLayout): boolean {
  return layout === 'stock' && major <= PATCHED_HEAP_MAJOR_MAX;
}

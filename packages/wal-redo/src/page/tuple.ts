/** Small parts of tuples: ItemPointerData (itemptr.h) and the header of index tuples (itup.h). */
import { type Bytes, setU16, u16 } from '../bytes.ts';
import { invalidRecord } from '../redo-fault.ts';

/** `InvalidBlockNumber` */
export const INVALID_BLOCK = 0xffff_ffff;

export const ITEM_POINTER_SIZE = 6;

/** `BlockIdSet`: the high half comes first. */
export function setBlockId(bytes: Bytes, at: number, block: number): void {
  setU16(bytes, at, block >>> 16);
  setU16(bytes, at + 2, block & 0xffff);
}

export function blockId(bytes: Bytes, at: number): number {
  return u16(bytes, at) * 0x10000 + u16(bytes, at + 2);
}

/** `ItemPointerSet` */
export function setItemPointer(
  bytes: Bytes,
  at: number,
  to: { readonly block: number; readonly offset: number },
): void {
  setBlockId(bytes, at, to.block);
  setU16(bytes, at + 4, to.offset);
}

const INDEX_TUPLE_HEADER_SIZE = 8;
const INDEX_SIZE_MASK = 0x1fff;

/** `t_info` of an index tuple: 6 bytes item pointer come before it. */
export const INDEX_TUPLE_INFO = 6;

/** `IndexTupleSize`, at least that of its header. */
export function indexTupleSize(bytes: Bytes, at: number): number {
  const size = u16(bytes, at + INDEX_TUPLE_INFO) & INDEX_SIZE_MASK;
  if (size < INDEX_TUPLE_HEADER_SIZE) throw invalidRecord(`index tuple of ${size} bytes`);
  return size;
}

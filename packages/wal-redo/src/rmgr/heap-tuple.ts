/** Heap tuple headers (htup_details.h): t_xmin 0, t_xmax 4, t_cid 8, t_ctid 12, t_infomask2 18, t_infomask 20, t_hoff 22. */
import { type Bytes, copyBytes, setU8, setU16, setU32, u8, u16 } from '../bytes.ts';
import type { HeapRecordLayout } from '../heap-layout.ts';
import { pruneXid, setPruneXid } from '../page/header.ts';
import { itemStart, LP_NORMAL, linePointer, lpFlags } from '../page/line-pointer.ts';
import { setBlockId } from '../page/tuple.ts';
import type { RecordData } from '../record-data.ts';
import type { RedoContext } from '../redo-context.ts';
import { invalidPage, invalidRecord } from '../redo-fault.ts';

const T_XMIN = 0;
const T_XMAX = 4;
const T_CID = 8;
const T_CTID = 12;
const T_INFOMASK2 = 18;
const T_INFOMASK = 20;
const T_HOFF = 22;

/** `SizeofHeapTupleHeader`: the null bitmap follows. */
export const TUPLE_HEADER_SIZE = 23;

const HEAP_COMBOCID = 0x0020;
const HEAP_XMAX_KEYSHR_LOCK = 0x0010;
const HEAP_XMAX_EXCL_LOCK = 0x0040;
const HEAP_XMAX_LOCK_ONLY = 0x0080;
const HEAP_XMAX_IS_MULTI = 0x1000;
const HEAP_LOCK_MASK = HEAP_XMAX_KEYSHR_LOCK | HEAP_XMAX_EXCL_LOCK;
const HEAP_XMAX_BITS = 0x0400 | 0x0800 | HEAP_XMAX_IS_MULTI | HEAP_LOCK_MASK | HEAP_XMAX_LOCK_ONLY;
const HEAP_MOVED = 0xc000;
const HEAP_KEYS_UPDATED = 0x2000;
const HEAP_HOT_UPDATED = 0x4000;

/** `XLHL_*`: infobits of a record; the last is Neon's. */
const XLHL_XMAX_IS_MULTI = 0x01;
const XLHL_XMAX_LOCK_ONLY = 0x02;
const XLHL_XMAX_EXCL_LOCK = 0x04;
const XLHL_XMAX_KEYSHR_LOCK = 0x08;
const XLHL_KEYS_UPDATED = 0x10;
const XLHL_COMBOCID = 0x20;

const FIRST_NORMAL_XID = 3;

/** Start of the tuple that a record changes; it has to be a normal item. */
export function heapTuple(page: Bytes, offset: number): number {
  if (lpFlags(linePointer(page, offset)) !== LP_NORMAL) throw invalidPage(`item ${offset} is no tuple`);
  return itemStart(page, offset);
}

export const setXmin = (page: Bytes, tuple: number, xid: number): void => setU32(page, tuple + T_XMIN, xid);
export const setXmax = (page: Bytes, tuple: number, xid: number): void => setU32(page, tuple + T_XMAX, xid);
const setCid = (page: Bytes, tuple: number, cid: number): void => setU32(page, tuple + T_CID, cid);
export const headerOffset = (page: Bytes, tuple: number): number => u8(page, tuple + T_HOFF);

// Several numbers in a row, here and below: these run for most records of a WAL, and objects for them made most of the garbage.
export function setCtid(page: Bytes, tuple: number, block: number, offset: number): void {
  setBlockId(page, tuple + T_CTID, block);
  setU16(page, tuple + T_CTID + 4, offset);
}

/** Forgets the old xmax and all that t_infomask says of it. */
export function clearXmaxBits(page: Bytes, tuple: number): void {
  setU16(page, tuple + T_INFOMASK, u16(page, tuple + T_INFOMASK) & ~(HEAP_XMAX_BITS | HEAP_MOVED));
}

export function setHotUpdated(page: Bytes, tuple: number, isHot: boolean): void {
  const infomask2 = u16(page, tuple + T_INFOMASK2);
  setU16(page, tuple + T_INFOMASK2, isHot ? infomask2 | HEAP_HOT_UPDATED : infomask2 & ~HEAP_HOT_UPDATED);
}

/** `fix_infomask_from_infobits` */
export function setInfobits(page: Bytes, tuple: number, infobits: number, carriesCid: boolean): void {
  const cleared =
    HEAP_XMAX_IS_MULTI | HEAP_XMAX_LOCK_ONLY | HEAP_LOCK_MASK | (carriesCid ? HEAP_COMBOCID : 0);
  let infomask = u16(page, tuple + T_INFOMASK) & ~cleared;
  let infomask2 = u16(page, tuple + T_INFOMASK2) & ~HEAP_KEYS_UPDATED;
  if ((infobits & XLHL_XMAX_IS_MULTI) !== 0) infomask |= HEAP_XMAX_IS_MULTI;
  if ((infobits & XLHL_XMAX_LOCK_ONLY) !== 0) infomask |= HEAP_XMAX_LOCK_ONLY;
  if ((infobits & XLHL_XMAX_EXCL_LOCK) !== 0) infomask |= HEAP_XMAX_EXCL_LOCK;
  if ((infobits & XLHL_XMAX_KEYSHR_LOCK) !== 0) infomask |= HEAP_XMAX_KEYSHR_LOCK;
  if ((infobits & XLHL_KEYS_UPDATED) !== 0) infomask2 |= HEAP_KEYS_UPDATED;
  if (carriesCid && (infobits & XLHL_COMBOCID) !== 0) infomask |= HEAP_COMBOCID;
  setU16(page, tuple + T_INFOMASK2, infomask2);
  setU16(page, tuple + T_INFOMASK, infomask);
}

/** `HEAP_XMAX_IS_LOCKED_ONLY` */
export function isLockedOnly(page: Bytes, tuple: number): boolean {
  const infomask = u16(page, tuple + T_INFOMASK);
  if ((infomask & HEAP_XMAX_LOCK_ONLY) !== 0) return true;
  return (infomask & (HEAP_XMAX_IS_MULTI | HEAP_LOCK_MASK)) === HEAP_XMAX_EXCL_LOCK;
}

/** `HeapTupleHeaderSetCmax`: stock redo knows no command id; Neon's records carry it, the combo bit in their infobits. */
export function setCidOfRecord(context: RedoContext, tuple: number, at: number): void {
  const { page, main, heap } = context;
  if (heap.carriesCid) {
    setCid(page, tuple, main.u32(at));
    return;
  }
  setCid(page, tuple, 0);
  setU16(page, tuple + T_INFOMASK, u16(page, tuple + T_INFOMASK) & ~HEAP_COMBOCID);
}

/** `PageSetPrunable` */
export function setPrunable(page: Bytes, xid: number): void {
  const old = pruneXid(page);
  if (old === 0 || precedes(xid, old)) setPruneXid(page, xid);
}

/** `TransactionIdPrecedes` */
function precedes(a: number, b: number): boolean {
  if (a < FIRST_NORMAL_XID || b < FIRST_NORMAL_XID) return a < b;
  return ((a - b) | 0) < 0;
}

/** A tuple header as insert and update records carry it (`xl_heap_header`). */
export interface RecordTupleHeader {
  infomask2: number;
  infomask: number;
  cid: number;
  hoff: number;
}

const recordHeader: RecordTupleHeader = { infomask2: 0, infomask: 0, cid: 0, hoff: 0 };

/** The header at `at` of the data; valid until the next call. */
export function readRecordHeader(data: RecordData, at: number, layout: HeapRecordLayout): RecordTupleHeader {
  recordHeader.infomask2 = data.u16(at);
  recordHeader.infomask = data.u16(at + 2);
  recordHeader.cid = layout.carriesCid ? data.u32(at + 4) : 0;
  recordHeader.hoff = data.u8(at + layout.tupleHeaderSize - 1);
  assertHeaderOffset(recordHeader.hoff);
  return recordHeader;
}

export function assertHeaderOffset(hoff: number): void {
  if (hoff < TUPLE_HEADER_SIZE) throw invalidRecord(`tuple header of ${hoff} bytes`);
}

/** Writes the 23 bytes of a new tuple's header. */
export function writeNewHeader(
  context: RedoContext,
  tuple: number,
  header: RecordTupleHeader,
  xmax: number,
  offset: number,
): void {
  const { page, heap } = context;
  setXmin(page, tuple, context.record.xid);
  setXmax(page, tuple, xmax);
  setCid(page, tuple, header.cid);
  setCtid(page, tuple, context.block.blockNumber, offset);
  const infomask = heap.carriesCid ? header.infomask : header.infomask & ~HEAP_COMBOCID;
  setU16(page, tuple + T_INFOMASK2, header.infomask2);
  setU16(page, tuple + T_INFOMASK, infomask);
  setU8(page, tuple + T_HOFF, header.hoff);
}

/** Copies `length` bytes at `at` of the data to a place behind the header of a new tuple. */
export function writeBody(page: Bytes, to: number, data: RecordData, at: number, length: number): void {
  copyBytes(page, to, data.bytes, data.place(at, length), length);
}

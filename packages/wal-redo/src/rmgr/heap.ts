/** Resource manager 10, Heap (heapam.c, heapam_xlog.h). Updates are in heap-update.ts. */
import { copyBytes } from '../bytes.ts';
import { placeSpace } from '../page/add-item.ts';
import { clearPageFlags, initPage, PD_ALL_VISIBLE } from '../page/header.ts';
import { itemLength } from '../page/line-pointer.ts';
import { INVALID_BLOCK } from '../page/tuple.ts';
import { type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';
import { invalidRecord } from '../redo-fault.ts';
import {
  clearXmaxBits,
  headerOffset,
  heapTuple,
  isLockedOnly,
  readRecordHeader,
  setCidOfRecord,
  setCtid,
  setHotUpdated,
  setInfobits,
  setPrunable,
  setXmax,
  setXmin,
  TUPLE_HEADER_SIZE,
  writeBody,
  writeNewHeader,
} from './heap-tuple.ts';
import { redoUpdate } from './heap-update.ts';

/** `XLOG_HEAP_*`; TRUNCATE (0x30) touches no page. */
export const XLOG_HEAP = {
  insert: 0x00,
  delete: 0x10,
  update: 0x20,
  hotUpdate: 0x40,
  confirm: 0x50,
  lock: 0x60,
  inplace: 0x70,
} as const;
const XLOG_HEAP_OPMASK = 0x70;
const XLOG_HEAP_INIT_PAGE = 0x80;

const XLH_INSERT_ALL_VISIBLE_CLEARED = 0x01;
const XLH_DELETE_ALL_VISIBLE_CLEARED = 0x01;
const XLH_DELETE_IS_SUPER = 0x08;
const XLH_DELETE_IS_PARTITION_MOVE = 0x10;

/** `MovedPartitionsOffsetNumber` */
const MOVED_PARTITIONS_OFFSET = 0xfffd;

export const heap: ResourceManager = {
  operations: XLOG_HEAP,
  operationMask: XLOG_HEAP_OPMASK,
  redo: redoHeap,
};

export function redoHeap(context: RedoContext): void {
  switch (context.info & XLOG_HEAP_OPMASK) {
    case XLOG_HEAP.insert:
      redoInsert(context);
      return;
    case XLOG_HEAP.delete:
      redoDelete(context);
      return;
    case XLOG_HEAP.update:
      redoUpdate(context, false);
      return;
    case XLOG_HEAP.hotUpdate:
      redoUpdate(context, true);
      return;
    case XLOG_HEAP.confirm:
      redoConfirm(context);
      return;
    case XLOG_HEAP.lock:
      redoLock(context);
      return;
    case XLOG_HEAP.inplace:
      redoInplace(context);
      return;
    default:
      throw unsupportedRecord(context);
  }
}

function redoInsert(context: RedoContext): void {
  const { page, main, data, heap: layout } = context;
  const offset = main.u16(0);
  const flags = main.u8(2);
  if ((context.info & XLOG_HEAP_INIT_PAGE) !== 0) initPage(page, 0);
  const header = readRecordHeader(data, 0, layout);
  const length = data.length - layout.tupleHeaderSize;
  const tuple = placeSpace(page, offset, TUPLE_HEADER_SIZE + length);
  writeNewHeader(context, tuple, header, 0, offset);
  writeBody(page, tuple + TUPLE_HEADER_SIZE, data, layout.tupleHeaderSize, length);
  if ((flags & XLH_INSERT_ALL_VISIBLE_CLEARED) !== 0) clearPageFlags(page, PD_ALL_VISIBLE);
}

function redoDelete(context: RedoContext): void {
  const { page, main, heap: layout } = context;
  const offset = main.u16(layout.delete.offset);
  const flags = main.u8(layout.delete.flags);
  const tuple = heapTuple(page, offset);
  clearXmaxBits(page, tuple);
  setHotUpdated(page, tuple, false);
  setInfobits(page, tuple, main.u8(layout.delete.infobits), layout.carriesCid);
  if ((flags & XLH_DELETE_IS_SUPER) === 0) setXmax(page, tuple, main.u32(0));
  else setXmin(page, tuple, 0);
  setCidOfRecord(context, tuple, layout.delete.cid);
  setPrunable(page, context.record.xid);
  if ((flags & XLH_DELETE_ALL_VISIBLE_CLEARED) !== 0) clearPageFlags(page, PD_ALL_VISIBLE);
  const isMoved = (flags & XLH_DELETE_IS_PARTITION_MOVE) !== 0;
  if (isMoved) setCtid(page, tuple, INVALID_BLOCK, MOVED_PARTITIONS_OFFSET);
  else setCtid(page, tuple, context.block.blockNumber, offset);
}

/** A speculative insertion has become a real one. */
function redoConfirm(context: RedoContext): void {
  const { page, main, block } = context;
  const offset = main.u16(0);
  setCtid(page, heapTuple(page, offset), block.blockNumber, offset);
}

function redoLock(context: RedoContext): void {
  const { page, main, block, heap: layout } = context;
  const offset = main.u16(layout.lock.offset);
  const tuple = heapTuple(page, offset);
  clearXmaxBits(page, tuple);
  setInfobits(page, tuple, main.u8(layout.lock.infobits), layout.carriesCid);
  if (isLockedOnly(page, tuple)) {
    setHotUpdated(page, tuple, false);
    setCtid(page, tuple, block.blockNumber, offset);
  }
  setXmax(page, tuple, main.u32(0));
  setCidOfRecord(context, tuple, layout.lock.cid);
}

function redoInplace(context: RedoContext): void {
  const { page, main, data } = context;
  const offset = main.u16(0);
  const tuple = heapTuple(page, offset);
  const hoff = headerOffset(page, tuple);
  if (itemLength(page, offset) - hoff !== data.length)
    throw invalidRecord('wrong length of an inplace update');
  copyBytes(page, tuple + hoff, data.bytes, data.start, data.length);
}

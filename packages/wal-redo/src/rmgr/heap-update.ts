/** `heap_xlog_update`: block 0 is the new tuple's page, block 1 the old one's where that is another. */
import { copyBytes } from '../bytes.ts';
import { placeSpace } from '../page/add-item.ts';
import { clearPageFlags, initPage, PD_ALL_VISIBLE } from '../page/header.ts';
import { itemLength } from '../page/line-pointer.ts';
import { blockNumberOf, type RedoContext } from '../redo-context.ts';
import { invalidRecord } from '../redo-fault.ts';
import {
  clearXmaxBits,
  headerOffset,
  heapTuple,
  readRecordHeader,
  setCidOfRecord,
  setCtid,
  setHotUpdated,
  setInfobits,
  setPrunable,
  setXmax,
  TUPLE_HEADER_SIZE,
  writeBody,
  writeNewHeader,
} from './heap-tuple.ts';

const XLOG_HEAP_INIT_PAGE = 0x80;
const XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED = 0x01;
const XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED = 0x02;
const XLH_UPDATE_PREFIX_FROM_OLD = 0x20;
const XLH_UPDATE_SUFFIX_FROM_OLD = 0x40;

/** Of the main data; the other fields' places depend on the layout. */
const OLD_OFFSET = 4;
const OLD_INFOBITS = 6;
const FLAGS = 7;

export function redoUpdate(context: RedoContext, isHot: boolean): void {
  const { block, record, main } = context;
  const flags = main.u8(FLAGS);
  const isSamePage = record.findBlock(1) === undefined;
  if (block.id === 1 || isSamePage) updateOld(context, flags, isHot);
  if (block.id === 0) insertNew(context, flags, isSamePage);
}

function updateOld(context: RedoContext, flags: number, isHot: boolean): void {
  const { page, main, heap } = context;
  const tuple = heapTuple(page, main.u16(OLD_OFFSET));
  clearXmaxBits(page, tuple);
  setHotUpdated(page, tuple, isHot);
  setInfobits(page, tuple, main.u8(OLD_INFOBITS), heap.carriesCid);
  setXmax(page, tuple, main.u32(0));
  setCidOfRecord(context, tuple, heap.update.cid);
  setCtid(page, tuple, blockNumberOf(context, 0), main.u16(heap.update.newOffset));
  setPrunable(page, context.record.xid);
  if ((flags & XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED) !== 0) clearPageFlags(page, PD_ALL_VISIBLE);
}

/** The new tuple may share the beginning and the end of its data with the old one on the same page. */
function insertNew(context: RedoContext, flags: number, isSamePage: boolean): void {
  const { page, main, data, heap } = context;
  if ((context.info & XLOG_HEAP_INIT_PAGE) !== 0) initPage(page, 0);
  const hasPrefix = (flags & XLH_UPDATE_PREFIX_FROM_OLD) !== 0;
  const hasSuffix = (flags & XLH_UPDATE_SUFFIX_FROM_OLD) !== 0;
  if ((hasPrefix || hasSuffix) && !isSamePage)
    throw invalidRecord('parts of the old tuple are on another page');
  const prefix = hasPrefix ? data.u16(0) : 0;
  const suffix = hasSuffix ? data.u16(hasPrefix ? 2 : 0) : 0;
  const headerAt = (hasPrefix ? 2 : 0) + (hasSuffix ? 2 : 0);
  const header = readRecordHeader(data, headerAt, heap);
  const at = headerAt + heap.tupleHeaderSize;
  const stored = data.length - at;
  const offset = main.u16(heap.update.newOffset);
  const tuple = placeSpace(page, offset, TUPLE_HEADER_SIZE + prefix + stored + suffix);
  const body = tuple + TUPLE_HEADER_SIZE;
  const oldOffset = main.u16(OLD_OFFSET);
  if (prefix === 0) writeBody(page, body, data, at, stored);
  else {
    // The null bitmap comes before what is shared.
    const bitmap = header.hoff - TUPLE_HEADER_SIZE;
    const old = heapTuple(page, oldOffset);
    writeBody(page, body, data, at, bitmap);
    copyBytes(page, body + bitmap, page, old + headerOffset(page, old), prefix);
    writeBody(page, body + bitmap + prefix, data, at + bitmap, stored - bitmap);
  }
  if (suffix > 0) {
    const oldEnd = heapTuple(page, oldOffset) + itemLength(page, oldOffset);
    copyBytes(page, body + prefix + stored, page, oldEnd - suffix, suffix);
  }
  writeNewHeader(context, tuple, header, main.u32(heap.update.newXmax), offset);
  if ((flags & XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED) !== 0) clearPageFlags(page, PD_ALL_VISIBLE);
}

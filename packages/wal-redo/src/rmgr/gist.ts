/** Resource manager 14, Gist (gistxlog.c, gistxlog.h). */
import { type Bytes, copyBytes, setU16, setU32, u16 } from '../bytes.ts';
import { appendItem } from '../page/add-item.ts';
import { deleteItem, deleteItems, overwriteItem } from '../page/delete-item.ts';
import { CONTENTS, initPage, setPdLower, specialSpace } from '../page/header.ts';
import { INVALID_BLOCK, indexTupleSize } from '../page/tuple.ts';
import { blockNumberOf, type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';

/** `XLOG_GIST_*`; PAGE_REUSE (0x20) and ASSIGN_LSN (0x70) touch no page. */
const XLOG_GIST = { pageUpdate: 0x00, delete: 0x10, pageSplit: 0x30, pageDelete: 0x60 } as const;

/** Special space: NSN as two u32 (high first), rightlink u32, flags, page id u16. */
const SPECIAL_SIZE = 16;
const RIGHTLINK = 8;
const FLAGS = 12;
const PAGE_ID_AT = 14;
const PAGE_ID = 0xff81;

const F_LEAF = 1;
const F_DELETED = 2;
const F_TUPLES_DELETED = 4;
const F_FOLLOW_RIGHT = 8;
const F_HAS_GARBAGE = 16;

const ROOT_BLOCK = 0;

export const gist: ResourceManager = {
  operations: XLOG_GIST,
  operationMask: 0xf0,
  redo(context) {
    const { page, main, block } = context;
    switch (context.info & 0xf0) {
      case XLOG_GIST.pageUpdate:
        return block.id === 0 ? redoPageUpdate(context) : clearFollowRight(context);
      case XLOG_GIST.delete:
        return redoDelete(context);
      case XLOG_GIST.pageSplit:
        return block.id === 0 ? clearFollowRight(context) : redoPageSplit(context);
      case XLOG_GIST.pageDelete:
        return block.id === 0 ? redoPageDelete(context) : deleteItem(page, main.u16(8));
      default:
        throw unsupportedRecord(context);
    }
  },
  /** The NSN of the left child is set after its image was taken. */
  redoRestored(context) {
    const operation = context.info & 0xf0;
    const isChildOfUpdate = operation === XLOG_GIST.pageUpdate && context.block.id === 1;
    const isChildOfSplit = operation === XLOG_GIST.pageSplit && context.block.id === 0;
    if (isChildOfUpdate || isChildOfSplit) clearFollowRight(context);
  },
};

const gistSpecial = (page: Bytes): number => specialSpace(page, SPECIAL_SIZE);

function changeFlags(page: Bytes, change: { readonly set?: number; readonly clear?: number }): void {
  const at = gistSpecial(page) + FLAGS;
  setU16(page, at, (u16(page, at) & ~(change.clear ?? 0)) | (change.set ?? 0));
}

/** `gistRedoClearFollowRight`: the split of this child has its downlink now. */
function clearFollowRight({ page, lsnHigh, lsnLow }: RedoContext): void {
  const at = gistSpecial(page);
  setU32(page, at, lsnHigh);
  setU32(page, at + 4, lsnLow);
  changeFlags(page, { clear: F_FOLLOW_RIGHT });
}

/** Main data: ntodelete, ntoinsert. Block data: offset numbers to delete, then tuples. */
function redoPageUpdate(context: RedoContext): void {
  const { page, main, data, settings } = context;
  const deleted = main.u16(0);
  const inserted = main.u16(2);
  let at = 2 * deleted;
  if (deleted === 1 && inserted === 1) {
    const size = indexTupleSize(data.bytes, data.place(at, 8));
    overwriteItem(page, data.u16(0), data.range(at, size));
    at += size;
  } else if (deleted > 0) {
    deleteItems(page, data.offsets(0, deleted));
    const isLeaf = (u16(page, gistSpecial(page) + FLAGS) & F_LEAF) !== 0;
    if (isLeaf && settings.gistTuplesDeleted !== 'none') changeFlags(page, { set: F_TUPLES_DELETED });
  }
  while (at < data.length) {
    const size = indexTupleSize(data.bytes, data.place(at, 8));
    appendItem(page, data.range(at, size));
    at += size;
  }
}

function redoDelete({ page, main, settings }: RedoContext): void {
  const offsetsAt = settings.differences.gistDeleteOffsets;
  deleteItems(page, main.offsets(offsetsAt, main.u16(4)));
  const marks = settings.gistTuplesDeleted === 'page-update-and-delete';
  changeFlags(page, { clear: F_HAS_GARBAGE, set: marks ? F_TUPLES_DELETED : 0 });
}

/** Main data: origrlink u32, orignsn u64 at 8, origleaf bool, npage u16 at 18, markfollowright bool. Blocks from 1 on. */
function redoPageSplit(context: RedoContext): void {
  const { page, main, data, block, record } = context;
  const isRoot = block.blockNumber === ROOT_BLOCK;
  const isLast = block.id >= main.u16(18);
  const isRootSplit = record.findBlock(1)?.blockNumber === ROOT_BLOCK;
  initPage(page, SPECIAL_SIZE);
  const special = gistSpecial(page);
  setU16(page, special + FLAGS, main.bool(16) && !isRoot ? F_LEAF : 0);
  setU16(page, special + PAGE_ID_AT, PAGE_ID);
  let at = 4;
  for (let count = data.u32(0); count > 0; count--) {
    const size = indexTupleSize(data.bytes, data.place(at, 8));
    appendItem(page, data.range(at, size));
    at += size;
  }
  setU32(page, special, main.u32(12));
  setU32(page, special + 4, main.u32(8));
  if (isRoot) setU32(page, special + RIGHTLINK, INVALID_BLOCK);
  else {
    setU32(page, special + RIGHTLINK, isLast ? main.u32(0) : blockNumberOf(context, block.id + 1));
    if (!isLast && !isRootSplit && main.bool(20)) changeFlags(page, { set: F_FOLLOW_RIGHT });
  }
}

/** Main data: the xid (u64) from which on the page may be used again, offset number of its downlink. */
function redoPageDelete({ page, main }: RedoContext): void {
  changeFlags(page, { set: F_DELETED });
  setPdLower(page, CONTENTS + 8);
  copyBytes(page, CONTENTS, main.bytes, main.place(0, 8), 8);
}

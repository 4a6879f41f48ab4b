/** Resource manager 13, Gin (ginxlog.c, ginxlog.h). */
import { type Bytes, copyBytes, moveBytes } from '../bytes.ts';
import { appendItem, insertItem } from '../page/add-item.ts';
import { deleteItem } from '../page/delete-item.ts';
import { CONTENTS, setPdLower, setPruneXid } from '../page/header.ts';
import { itemStart } from '../page/line-pointer.ts';
import { INVALID_BLOCK, indexTupleSize, setBlockId, setItemPointer } from '../page/tuple.ts';
import { missingImage, type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';
import { invalidPage } from '../redo-fault.ts';
import {
  GIN_COMPRESSED,
  GIN_DATA,
  GIN_DELETED,
  GIN_INCOMPLETE_SPLIT,
  GIN_LEAF,
  GIN_LIST,
  GIN_LIST_FULLROW,
  GIN_META,
  ginFlags,
  initGinPage,
  maxOffset,
  setGinFlags,
  setGinRightLink,
  setMaxOffset,
} from './gin-page.ts';
import { DATA_AT, recompressLeaf, setDataSize } from './gin-posting.ts';

/** `XLOG_GIN_*` */
const XLOG_GIN = {
  createPtree: 0x10,
  insert: 0x20,
  split: 0x30,
  vacuumPage: 0x40,
  deletePage: 0x50,
  updateMetaPage: 0x60,
  insertListpage: 0x70,
  deleteListpage: 0x80,
  vacuumDataLeafPage: 0x90,
} as const;

const GIN_INSERT_ISDATA = 1;
const GIN_INSERT_ISLEAF = 2;

/** `PostingItem`: a child's block number and its highest item pointer. */
const POSTING_ITEM_SIZE = 10;

/** `GinMetaPageData` */
const METADATA_SIZE = 56;

export const gin: ResourceManager = {
  operations: XLOG_GIN,
  operationMask: 0xf0,
  redo(context) {
    switch (context.info & 0xf0) {
      case XLOG_GIN.createPtree:
        return redoCreatePostingTree(context);
      case XLOG_GIN.insert:
        return redoInsert(context);
      case XLOG_GIN.split:
        return redoSplit(context);
      case XLOG_GIN.vacuumPage:
        throw missingImage(context);
      case XLOG_GIN.deletePage:
        return redoDeletePage(context);
      case XLOG_GIN.updateMetaPage:
        return redoUpdateMetaPage(context);
      case XLOG_GIN.insertListpage:
        return redoInsertListPage(context);
      case XLOG_GIN.deleteListpage:
        if (context.block.id === 0) return writeMetapage(context, 0);
        return initGinPage(context.page, GIN_DELETED);
      case XLOG_GIN.vacuumDataLeafPage:
        return recompressLeaf(context.page, context.data, 0);
      default:
        throw unsupportedRecord(context);
    }
  },
};

function redoCreatePostingTree({ page, main }: RedoContext): void {
  const size = main.u32(0);
  initGinPage(page, GIN_DATA | GIN_LEAF | GIN_COMPRESSED);
  copyBytes(page, DATA_AT, main.bytes, main.place(4, size), size);
  setDataSize(page, size);
}

/** Main data: flags, and on inner pages the blocks of the child that was split (left at 2, right at 6). */
function redoInsert(context: RedoContext): void {
  const { page, main, data, block } = context;
  if (block.id === 1) {
    clearIncompleteSplit(page);
    return;
  }
  const flags = main.u16(0);
  const isLeaf = (flags & GIN_INSERT_ISLEAF) !== 0;
  const rightChild = isLeaf ? INVALID_BLOCK : main.blockId(6);
  if ((flags & GIN_INSERT_ISDATA) === 0) insertEntry(context, rightChild);
  else if (isLeaf) recompressLeaf(page, data, 0);
  else insertPostingItem(context, rightChild);
}

/** Blocks 0 to 2 always come as images; 3 is a child whose split is finished now. */
function redoSplit(context: RedoContext): void {
  if (context.block.id !== 3) throw missingImage(context);
  clearIncompleteSplit(context.page);
}

function clearIncompleteSplit(page: Bytes): void {
  setGinFlags(page, ginFlags(page) & ~GIN_INCOMPLETE_SPLIT);
}

/** `ginxlogInsertEntry`: offset u16, isDelete u8, the tuple at 4. */
function insertEntry({ page, data }: RedoContext, rightChild: number): void {
  const offset = data.u16(0);
  if (rightChild !== INVALID_BLOCK) {
    setItemPointer(page, itemStart(page, offset), { block: rightChild, offset: 0 });
  }
  if (data.bool(2)) deleteItem(page, offset);
  const size = indexTupleSize(data.bytes, data.place(4, 8));
  insertItem(page, offset, data.range(4, size));
}

/** `ginxlogInsertDataInternal`: offset u16, the new posting item at 2. */
function insertPostingItem({ page, data }: RedoContext, rightChild: number): void {
  const offset = data.u16(0);
  const count = maxOffset(page);
  if (offset < 1 || offset > count) throw invalidPage(`posting item ${offset} of ${count}`);
  const at = DATA_AT + POSTING_ITEM_SIZE * (offset - 1);
  setBlockId(page, at, rightChild);
  moveBytes(page, at + POSTING_ITEM_SIZE, at, POSTING_ITEM_SIZE * (count - offset + 1));
  copyBytes(page, at, data.bytes, data.place(2, POSTING_ITEM_SIZE), POSTING_ITEM_SIZE);
  setMaxOffset(page, count + 1);
  setDataSize(page, POSTING_ITEM_SIZE * (count + 1));
}

/** Main data: parentOffset u16, rightLink u32 at 4, deleteXid u32. 0 the deleted page, 1 its parent, 2 the page left of it. */
function redoDeletePage({ page, main, block }: RedoContext): void {
  if (block.id === 0) {
    setGinFlags(page, ginFlags(page) | GIN_DELETED);
    setPruneXid(page, main.u32(8));
  } else if (block.id === 1) deletePostingItem(page, main.u16(0));
  else setGinRightLink(page, main.u32(4));
}

/** `GinPageDeletePostingItem` */
function deletePostingItem(page: Bytes, offset: number): void {
  const count = maxOffset(page);
  if (offset < 1 || offset > count) throw invalidPage(`posting item ${offset} of ${count}`);
  const at = DATA_AT + POSTING_ITEM_SIZE * (offset - 1);
  moveBytes(page, at, at + POSTING_ITEM_SIZE, POSTING_ITEM_SIZE * (count - offset));
  setMaxOffset(page, count - 1);
  setDataSize(page, POSTING_ITEM_SIZE * (count - 1));
}

/** `ginxlogUpdateMeta`: relation, metadata at 16, prevTail u32 at 72, newRightlink, ntuples i32. 1 is the list's tail. */
function redoUpdateMetaPage(context: RedoContext): void {
  const { page, main, data, block } = context;
  if (block.id === 0) {
    writeMetapage(context, 16);
    return;
  }
  const tuples = main.i32(80);
  if (tuples <= 0) {
    setGinRightLink(page, main.u32(76));
    return;
  }
  appendTuples(page, data, tuples);
  setMaxOffset(page, maxOffset(page) + 1);
}

function redoInsertListPage({ page, main, data }: RedoContext): void {
  const rightLink = main.u32(0);
  const isLast = rightLink === INVALID_BLOCK;
  initGinPage(page, isLast ? GIN_LIST | GIN_LIST_FULLROW : GIN_LIST);
  setGinRightLink(page, rightLink);
  setMaxOffset(page, isLast ? 1 : 0);
  appendTuples(page, data, main.i32(4));
}

function appendTuples(page: Bytes, data: RedoContext['data'], count: number): void {
  let at = 0;
  for (let index = 0; index < count; index++) {
    const size = indexTupleSize(data.bytes, data.place(at, 8));
    appendItem(page, data.range(at, size));
    at += size;
  }
}

function writeMetapage({ page, main }: RedoContext, at: number): void {
  initGinPage(page, GIN_META);
  copyBytes(page, CONTENTS, main.bytes, main.place(at, METADATA_SIZE), METADATA_SIZE);
  setPdLower(page, CONTENTS + METADATA_SIZE);
}

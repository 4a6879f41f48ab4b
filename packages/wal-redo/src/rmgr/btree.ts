/** Resource manager 11, Btree (nbtxlog.c). Splits, posting lists, and deletions are in the other btree-*.ts. */
import { type Bytes, copyBytes, newBytes, setU16 } from '../bytes.ts';
import { insertItem } from '../page/add-item.ts';
import { deleteItem } from '../page/delete-item.ts';
import { CONTENTS, setPdLower } from '../page/header.ts';
import { itemStart } from '../page/line-pointer.ts';
import { type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';
import { redoDedup } from './btree-dedup.ts';
import { redoDelete, redoVacuum } from './btree-delete.ts';
import {
  BTP_DELETED,
  BTP_HALF_DEAD,
  BTP_HAS_FULLXID,
  BTP_INCOMPLETE_SPLIT,
  BTP_LEAF,
  BTP_ROOT,
  clearBtreeFlags,
  initBtreePage,
  initMetapage,
  restoreTuples,
  setLeftLink,
  setRightLink,
} from './btree-page.ts';
import { insertPosting } from './btree-posting.ts';
import { redoSplit } from './btree-split.ts';

/** `XLOG_BTREE_*`; REUSE_PAGE (0xd0) touches no page. */
const XLOG_BTREE = {
  insertLeaf: 0x00,
  insertUpper: 0x10,
  insertMeta: 0x20,
  splitLeft: 0x30,
  splitRight: 0x40,
  insertPost: 0x50,
  dedup: 0x60,
  delete: 0x70,
  unlinkPage: 0x80,
  unlinkPageMeta: 0x90,
  newroot: 0xa0,
  markPageHalfdead: 0xb0,
  vacuum: 0xc0,
  metaCleanup: 0xe0,
} as const;

/** An index tuple of the header only, whose item pointer is the top parent of a page being deleted. */
const TOP_PARENT_TUPLE_SIZE = 8;
const INDEX_ALT_TID_MASK = 0x2000;

export const btree: ResourceManager = {
  operations: XLOG_BTREE,
  operationMask: 0xf0,
  redo(context: RedoContext): void {
    switch (context.info & 0xf0) {
      case XLOG_BTREE.insertLeaf:
      case XLOG_BTREE.insertUpper:
      case XLOG_BTREE.insertMeta:
        redoInsert(context, false);
        return;
      case XLOG_BTREE.insertPost:
        redoInsert(context, true);
        return;
      case XLOG_BTREE.splitLeft:
        redoSplit(context, true);
        return;
      case XLOG_BTREE.splitRight:
        redoSplit(context, false);
        return;
      case XLOG_BTREE.dedup:
        redoDedup(context);
        return;
      case XLOG_BTREE.delete:
        redoDelete(context);
        return;
      case XLOG_BTREE.vacuum:
        redoVacuum(context);
        return;
      case XLOG_BTREE.unlinkPage:
      case XLOG_BTREE.unlinkPageMeta:
        redoUnlinkPage(context);
        return;
      case XLOG_BTREE.newroot:
        redoNewroot(context);
        return;
      case XLOG_BTREE.markPageHalfdead:
        redoMarkHalfDead(context);
        return;
      case XLOG_BTREE.metaCleanup:
        initMetapage(context);
        return;
      default:
        throw unsupportedRecord(context);
    }
  },
};

/** Block 0 gets the tuple, 1 is a child whose split is finished now, 2 the metapage. */
function redoInsert(context: RedoContext, isPosting: boolean): void {
  const { page, main, data, block } = context;
  if (block.id === 1) {
    clearBtreeFlags(page, BTP_INCOMPLETE_SPLIT);
    return;
  }
  if (block.id === 2) {
    initMetapage(context);
    return;
  }
  const offset = main.u16(0);
  if (isPosting) insertPosting(context, offset);
  else insertItem(page, offset, data);
}

function redoNewroot(context: RedoContext): void {
  const { page, main, data, block } = context;
  const level = main.u32(4);
  if (block.id === 1) {
    clearBtreeFlags(page, BTP_INCOMPLETE_SPLIT);
    return;
  }
  if (block.id === 2) {
    initMetapage(context);
    return;
  }
  initBtreePage(page, { left: 0, right: 0, level, flags: BTP_ROOT | (level === 0 ? BTP_LEAF : 0) });
  if (level > 0) restoreTuples(page, data, 0);
}

/** Block 0 is the leaf; block 1 the parent in which its downlink now leads to the page right of it. */
function redoMarkHalfDead(context: RedoContext): void {
  const { page, main, block } = context;
  if (block.id === 0) {
    writeHalfDead(page, { left: main.u32(8), right: main.u32(12), topParent: main.u32(16) });
    return;
  }
  const parentOffset = main.u16(0);
  const right = itemStart(page, parentOffset + 1);
  // The downlink is the block number of the tuple's item pointer.
  copyBytes(page, itemStart(page, parentOffset), page, right, 4);
  deleteItem(page, parentOffset + 1);
}

/** Block 0 is unlinked; 1 and 2 are its neighbours, 3 the half-dead leaf below it, 4 the metapage. */
function redoUnlinkPage(context: RedoContext): void {
  const { page, main, block } = context;
  const left = main.u32(0);
  const right = main.u32(4);
  const level = main.u32(8);
  switch (block.id) {
    case 0: {
      const flags = BTP_DELETED | BTP_HAS_FULLXID | (level === 0 ? BTP_LEAF : 0);
      initBtreePage(page, { left, right, level, flags });
      // `BTDeletedPageData`: the xid from which on the page may be used again.
      copyBytes(page, CONTENTS, main.bytes, main.place(16, 8), 8);
      setPdLower(page, CONTENTS + 8);
      return;
    }
    case 1:
      setRightLink(page, right);
      return;
    case 2:
      setLeftLink(page, left);
      return;
    case 3:
      writeHalfDead(page, { left: main.u32(24), right: main.u32(28), topParent: main.u32(32) });
      return;
    case 4:
      initMetapage(context);
      return;
    default:
      throw unsupportedRecord(context);
  }
}

const topParentTuple = newBytes(TOP_PARENT_TUPLE_SIZE);

function writeHalfDead(
  page: Bytes,
  to: { readonly left: number; readonly right: number; readonly topParent: number },
): void {
  const { left, right, topParent } = to;
  initBtreePage(page, { left, right, level: 0, flags: BTP_HALF_DEAD | BTP_LEAF });
  setU16(topParentTuple, 0, topParent >>> 16);
  setU16(topParentTuple, 2, topParent & 0xffff);
  setU16(topParentTuple, 4, 0);
  setU16(topParentTuple, 6, TOP_PARENT_TUPLE_SIZE | INDEX_ALT_TID_MASK);
  insertItem(page, 1, { bytes: topParentTuple, start: 0, length: TOP_PARENT_TUPLE_SIZE });
}

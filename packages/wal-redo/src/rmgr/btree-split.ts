/** `btree_xlog_split`: 0 the page that is split, 1 its new right half, 2 the page right of that, 3 a child split before. */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { type ByteRange, type Bytes, copyBytes, newBytes } from '../bytes.ts';
import { insertItem } from '../page/add-item.ts';
import { initPage } from '../page/header.ts';
import { itemLength, itemStart } from '../page/line-pointer.ts';
import { blockNumberOf, type RedoContext, unsupportedRecord } from '../redo-context.ts';
import {
  alignedTupleSize,
  BTP_INCOMPLETE_SPLIT,
  BTP_LEAF,
  btreeSpecial,
  clearBtreeFlags,
  clearCycleId,
  firstDataOffset,
  initBtreePage,
  restoreTuples,
  SPECIAL_SIZE,
  setBtreeFlags,
  setLeftLink,
  setRightLink,
} from './btree-page.ts';
import { copyOf, swapPosting, wholeOf } from './btree-posting.ts';

export function redoSplit(context: RedoContext, isNewItemLeft: boolean): void {
  const { page, main, data, block, record } = context;
  const level = main.u32(0);
  switch (block.id) {
    case 0:
      splitLeftHalf(context, isNewItemLeft);
      return;
    case 1: {
      const right = record.findBlock(2)?.blockNumber ?? 0;
      const flags = level === 0 ? BTP_LEAF : 0;
      initBtreePage(page, { left: blockNumberOf(context, 0), right, level, flags });
      restoreTuples(page, data, 0);
      return;
    }
    case 2:
      setLeftLink(page, blockNumberOf(context, 1));
      return;
    case 3:
      clearBtreeFlags(page, BTP_INCOMPLETE_SPLIT);
      return;
    default:
      throw unsupportedRecord(context);
  }
}

/** What the record adds to the tuples that stay on the left half. */
interface LeftAdditions {
  readonly highKey: ByteRange;
  readonly newItem?: ByteRange;
  /** In place of the tuple with this offset number. */
  readonly replacement?: { readonly offset: number; readonly tuple: ByteRange };
}

const half = newBytes(BLCKSZ);

/** Main data: level, firstrightoff, newitemoff, postingoff. The left half is built anew on a page of its own. */
function splitLeftHalf(context: RedoContext, isNewItemLeft: boolean): void {
  const { page, main } = context;
  const isLeaf = main.u32(0) === 0;
  const firstRight = main.u16(4);
  const newItemOffset = main.u16(6);
  const { highKey, newItem, replacement } = leftAdditions(context, isNewItemLeft);
  const special = btreeSpecial(page);
  initPage(half, SPECIAL_SIZE);
  copyBytes(half, special, page, special, SPECIAL_SIZE);
  insertItem(half, 1, highKey);
  let to = 2;
  let offset = firstDataOffset(page);
  for (; offset < firstRight; offset++) {
    if (offset === replacement?.offset) {
      insertItem(half, to++, replacement.tuple);
      continue;
    }
    if (isNewItemLeft && offset === newItemOffset && newItem) insertItem(half, to++, newItem);
    insertItem(half, to++, itemOf(page, offset));
  }
  if (isNewItemLeft && offset === newItemOffset && newItem) insertItem(half, to, newItem);
  copyBytes(page, 0, half, 0, BLCKSZ);
  setBtreeFlags(page, BTP_INCOMPLETE_SPLIT | (isLeaf ? BTP_LEAF : 0));
  setRightLink(page, blockNumberOf(context, 1));
  clearCycleId(page);
}

/** Block data: the new item where it goes left or into a posting list, then the high key. */
function leftAdditions(context: RedoContext, isNewItemLeft: boolean): LeftAdditions {
  const { page, main, data } = context;
  const postingOffset = main.u16(8);
  let at = 0;
  let parts: Omit<LeftAdditions, 'highKey'> = {};
  if (isNewItemLeft || postingOffset !== 0) {
    const size = alignedTupleSize(data, 0);
    const newItem = data.range(0, size);
    at = size;
    parts = postingOffset === 0 ? { newItem } : swapped(page, { newItem, main, postingOffset });
  }
  return { highKey: data.range(at, alignedTupleSize(data, at)), ...parts };
}

function swapped(
  page: Bytes,
  how: { readonly newItem: ByteRange; readonly main: RedoContext['main']; readonly postingOffset: number },
): Omit<LeftAdditions, 'highKey'> {
  const offset = how.main.u16(6) - 1;
  const newTuple = copyOf(how.newItem);
  const oldTuple = copyOf(itemOf(page, offset));
  swapPosting(newTuple, oldTuple, how.postingOffset);
  return { newItem: wholeOf(newTuple), replacement: { offset, tuple: wholeOf(oldTuple) } };
}

function itemOf(page: Bytes, offset: number): ByteRange {
  return { bytes: page, start: itemStart(page, offset), length: itemLength(page, offset) };
}

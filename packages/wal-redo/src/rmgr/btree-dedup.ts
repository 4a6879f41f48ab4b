/** `btree_xlog_dedup`: tuples with equal keys become tuples with posting lists, by intervals that the record names. */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { type ByteRange, type Bytes, copyBytes, newBytes } from '../bytes.ts';
import { appendItem } from '../page/add-item.ts';
import { initPage } from '../page/header.ts';
import { itemLength, itemStart, maxOffsetNumber } from '../page/line-pointer.ts';
import { ITEM_POINTER_SIZE } from '../page/tuple.ts';
import type { RedoContext } from '../redo-context.ts';
import { invalidRecord } from '../redo-fault.ts';
import {
  BTP_HAS_GARBAGE,
  btreeSpecial,
  clearBtreeFlags,
  firstDataOffset,
  SPECIAL_SIZE,
} from './btree-page.ts';
import { formPosting, itemPointerAt, type PostingTuple, readPostingTuple } from './btree-posting.ts';

const rebuilt = newBytes(BLCKSZ);

/** Block data: for each interval the offset number of its first tuple and how many it takes. */
export function redoDedup(context: RedoContext): void {
  const { page, main, data } = context;
  const intervals = main.u16(0);
  const special = btreeSpecial(page);
  const first = firstDataOffset(page);
  const count = maxOffsetNumber(page);
  initPage(rebuilt, SPECIAL_SIZE);
  copyBytes(rebuilt, special, page, special, SPECIAL_SIZE);
  if (first === 2)
    appendItem(rebuilt, { bytes: page, start: itemStart(page, 1), length: itemLength(page, 1) });
  let interval = 0;
  for (let offset = first; offset <= count; ) {
    const isStart = interval < intervals && data.u16(4 * interval) === offset;
    const items = isStart ? data.u16(4 * interval++ + 2) : 1;
    if (items === 0 || offset + items - 1 > count)
      throw invalidRecord(`dedup of ${items} tuples from ${offset} on`);
    appendItem(rebuilt, mergedTuple(page, offset, items));
    offset += items;
  }
  clearBtreeFlags(rebuilt, BTP_HAS_GARBAGE);
  copyBytes(page, 0, rebuilt, 0, BLCKSZ);
}

const pointers = newBytes(BLCKSZ);

function mergedTuple(page: Bytes, offset: number, items: number): ByteRange {
  const base = tupleAt(page, offset);
  if (items === 1) return base;
  const lists: PostingTuple[] = [];
  let count = 0;
  for (let index = 0; index < items; index++) {
    const tuple = tupleAt(page, offset + index);
    lists.push(tuple);
    count += tuple.count;
  }
  let at = 0;
  for (const list of lists) {
    const size = ITEM_POINTER_SIZE * list.count;
    copyBytes(pointers, at, page, itemPointerAt(list, 0), size);
    at += size;
  }
  return formPosting(base, pointers, count);
}

function tupleAt(page: Bytes, offset: number): PostingTuple {
  return readPostingTuple(page, itemStart(page, offset));
}

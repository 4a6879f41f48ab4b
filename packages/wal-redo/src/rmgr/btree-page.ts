/** Btree pages (nbtree.h): the special space holds btpo_prev, btpo_next, btpo_level u32, btpo_flags, btpo_cycleid u16. */
import { align8, type Bytes, copyBytes, setF64, setU8, setU16, setU32, u16, u32 } from '../bytes.ts';
import { insertItem } from '../page/add-item.ts';
import { CONTENTS, initPage, setPdLower, specialSpace } from '../page/header.ts';
import { indexTupleSize } from '../page/tuple.ts';
import type { RecordData } from '../record-data.ts';
import type { RedoContext } from '../redo-context.ts';

export const SPECIAL_SIZE = 16;
const BTPO_PREV = 0;
const BTPO_NEXT = 4;
const BTPO_LEVEL = 8;
const BTPO_FLAGS = 12;
const BTPO_CYCLEID = 14;

export const BTP_LEAF = 1;
export const BTP_ROOT = 2;
export const BTP_DELETED = 4;
const BTP_META = 8;
export const BTP_HALF_DEAD = 16;
export const BTP_HAS_GARBAGE = 64;
export const BTP_INCOMPLETE_SPLIT = 128;
export const BTP_HAS_FULLXID = 256;

const BTREE_MAGIC = 0x053162;

/** `BTMetaPageData` on the page: magic, six u32 of the record, last_cleanup_num_heap_tuples f64 at 32, allequalimage at 40. */
const META_FIELDS_AT = CONTENTS + 4;
const META_FIELDS_SIZE = 24;
const META_HEAP_TUPLES_AT = CONTENTS + 32;
const META_ALLEQUALIMAGE_AT = CONTENTS + 40;
const META_SIZE = 48;

export interface BtreeSpecial {
  readonly left: number;
  readonly right: number;
  readonly level: number;
  readonly flags: number;
}

export function initBtreePage(page: Bytes, special: BtreeSpecial): void {
  initPage(page, SPECIAL_SIZE);
  const at = btreeSpecial(page);
  setU32(page, at + BTPO_PREV, special.left);
  setU32(page, at + BTPO_NEXT, special.right);
  setU32(page, at + BTPO_LEVEL, special.level);
  setU16(page, at + BTPO_FLAGS, special.flags);
  setU16(page, at + BTPO_CYCLEID, 0);
}

export const btreeSpecial = (page: Bytes): number => specialSpace(page, SPECIAL_SIZE);
export const setLeftLink = (page: Bytes, block: number): void =>
  setU32(page, btreeSpecial(page) + BTPO_PREV, block);
export const setRightLink = (page: Bytes, block: number): void =>
  setU32(page, btreeSpecial(page) + BTPO_NEXT, block);

export function setBtreeFlags(page: Bytes, flags: number): void {
  setU16(page, btreeSpecial(page) + BTPO_FLAGS, flags);
}

export function clearBtreeFlags(page: Bytes, flags: number): void {
  const at = btreeSpecial(page) + BTPO_FLAGS;
  setU16(page, at, u16(page, at) & ~flags);
}

export function clearCycleId(page: Bytes): void {
  setU16(page, btreeSpecial(page) + BTPO_CYCLEID, 0);
}

/** `P_FIRSTDATAKEY`: all pages but the rightmost of a level have their high key first. */
export function firstDataOffset(page: Bytes): number {
  return u32(page, btreeSpecial(page) + BTPO_NEXT) === 0 ? 1 : 2;
}

/** `_bt_restore_meta`: the metapage is written anew from the block's data. */
export function initMetapage({ page, data }: RedoContext): void {
  initPage(page, SPECIAL_SIZE);
  setU32(page, CONTENTS, BTREE_MAGIC);
  copyBytes(page, META_FIELDS_AT, data.bytes, data.place(0, META_FIELDS_SIZE), META_FIELDS_SIZE);
  setF64(page, META_HEAP_TUPLES_AT, -1);
  setU8(page, META_ALLEQUALIMAGE_AT, data.u8(META_FIELDS_SIZE));
  setBtreeFlags(page, BTP_META);
  setPdLower(page, CONTENTS + META_SIZE);
}

/** `_bt_restore_page`: tuples from `at` to the end of the data, the last one first, as they lie on a page. */
export function restoreTuples(page: Bytes, data: RecordData, at: number): void {
  const starts: number[] = [];
  for (let next = at; next < data.length; ) {
    starts.push(next);
    next += alignedTupleSize(data, next);
  }
  let offset = 0;
  for (const start of starts.reverse()) {
    insertItem(page, ++offset, data.range(start, alignedTupleSize(data, start)));
  }
}

export function alignedTupleSize(data: RecordData, at: number): number {
  return align8(indexTupleSize(data.bytes, data.place(at, 8)));
}

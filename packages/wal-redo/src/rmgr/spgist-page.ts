/** SP-GiST pages and tuples (spgist_private.h). Special space: flags, nRedirection, nPlaceholder, page id u16. */
import { type ByteRange, type Bytes, fillBytes, newBytes, setU8, setU16, setU32, u8, u16 } from '../bytes.ts';
import { insertItem } from '../page/add-item.ts';
import { deleteItem, deleteItems } from '../page/delete-item.ts';
import { initPage, specialSpace } from '../page/header.ts';
import { itemStart, maxOffsetNumber } from '../page/line-pointer.ts';
import { INVALID_BLOCK, indexTupleSize, setItemPointer } from '../page/tuple.ts';
import type { RecordData } from '../record-data.ts';
import { invalidPage, invalidRecord } from '../redo-fault.ts';

const SPECIAL_SIZE = 8;
const N_REDIRECTION = 2;
const N_PLACEHOLDER = 4;
const PAGE_ID_AT = 6;
const PAGE_ID = 0xff82;

export const SPGIST_LEAF = 4;
export const SPGIST_NULLS = 8;

/** `tupstate`: low two bits of a tuple. */
export const STATE_REDIRECT = 1;
const STATE_DEAD = 2;
const STATE_PLACEHOLDER = 3;
const STATE_MASK = 3;

const DEAD_TUPLE_SIZE = 16;
const NEXT_OFFSET_MASK = 0x3fff;
const LEAF_HEADER_SIZE = 12;
const INNER_HEADER_SIZE = 8;

/** Where an item pointer leads, or what a tuple says of it. */
export interface Link {
  readonly block: number;
  readonly offset: number;
}

const NO_LINK: Link = { block: INVALID_BLOCK, offset: 0 };

export function initSpgistPage(page: Bytes, flags: number): void {
  initPage(page, SPECIAL_SIZE);
  const special = specialSpace(page, SPECIAL_SIZE);
  setU16(page, special, flags);
  setU16(page, special + PAGE_ID_AT, PAGE_ID);
}

export const addRedirections = (page: Bytes, count: number): void => addTo(page, N_REDIRECTION, count);
export const addPlaceholders = (page: Bytes, count: number): void => addTo(page, N_PLACEHOLDER, count);

function addTo(page: Bytes, field: number, count: number): void {
  const at = specialSpace(page, SPECIAL_SIZE) + field;
  setU16(page, at, u16(page, at) + count);
}

/** `addOrReplaceTuple`: takes the place of a placeholder, or the next one. */
export function addOrReplaceTuple(page: Bytes, offset: number, tuple: ByteRange): void {
  if (offset <= maxOffsetNumber(page)) {
    if ((u8(page, itemStart(page, offset)) & STATE_MASK) !== STATE_PLACEHOLDER) {
      throw invalidPage(`item ${offset} is no placeholder`);
    }
    addPlaceholders(page, -1);
    deleteItem(page, offset);
  }
  insertItem(page, offset, tuple);
}

/** The leaf tuple at `at` of the data; its size is in the upper 30 bits of its first four bytes. */
export function leafTuple(data: RecordData, at: number): ByteRange {
  const size = data.u32(at) >>> 2;
  if (size < LEAF_HEADER_SIZE) throw invalidRecord(`SP-GiST leaf tuple of ${size} bytes`);
  return data.range(at, size);
}

/** The inner tuple at `at` of the data; its size is the u16 at 4. */
export function innerTuple(data: RecordData, at: number): ByteRange {
  const size = data.u16(at + 4);
  if (size < INNER_HEADER_SIZE) throw invalidRecord(`SP-GiST inner tuple of ${size} bytes`);
  return data.range(at, size);
}

/** `SGLT_SET_NEXTOFFSET` */
export function setNextOffset(page: Bytes, offset: number, next: number): void {
  const at = itemStart(page, offset) + 4;
  setU16(page, at, (u16(page, at) & ~NEXT_OFFSET_MASK) | (next & NEXT_OFFSET_MASK));
}

/** `spgUpdateNodeLink`: lets a node of an inner tuple lead elsewhere. */
export function setNodeLink(
  page: Bytes,
  node: { readonly offset: number; readonly index: number },
  to: Link,
): void {
  const tuple = itemStart(page, node.offset);
  let at = tuple + INNER_HEADER_SIZE + u16(page, tuple + 2);
  for (let index = 0; index < node.index; index++) at += indexTupleSize(page, at);
  setItemPointer(page, at, to);
}

/** What a tuple leaves behind: a redirection carries the xid and where it went. */
export interface Remains {
  readonly state: number;
  readonly link: Link;
  readonly xid: number;
}

export const PLACEHOLDER: Remains = { state: STATE_PLACEHOLDER, link: NO_LINK, xid: 0 };
export const DEAD: Remains = { state: STATE_DEAD, link: NO_LINK, xid: 0 };

const deadTuple = newBytes(DEAD_TUPLE_SIZE);

/** `spgFormDeadTuple`, put at an offset number. */
export function insertRemains(page: Bytes, offset: number, remains: Remains): void {
  fillBytes(deadTuple, 0, 0, DEAD_TUPLE_SIZE);
  setU32(deadTuple, 0, remains.state | (DEAD_TUPLE_SIZE << 2));
  setItemPointer(deadTuple, 6, remains.state === STATE_REDIRECT ? remains.link : NO_LINK);
  if (remains.state === STATE_REDIRECT) setU32(deadTuple, 12, remains.xid);
  insertItem(page, offset, { bytes: deadTuple, start: 0, length: DEAD_TUPLE_SIZE });
}

/** `spgPageIndexMultiDelete`: the first tuple named leaves `first`, all others `rest`. */
export function replaceWithRemains(
  page: Bytes,
  offsets: readonly number[],
  remains: { readonly first: Remains; readonly rest: Remains },
): void {
  const [firstOffset] = offsets;
  const sorted = offsets.toSorted((a, b) => a - b);
  deleteItems(page, sorted);
  for (const offset of sorted) {
    const left = offset === firstOffset ? remains.first : remains.rest;
    insertRemains(page, offset, left);
    if (left.state === STATE_REDIRECT) addRedirections(page, 1);
    else if (left.state === STATE_PLACEHOLDER) addPlaceholders(page, 1);
  }
}

/** A redirection that nobody can follow any more becomes a placeholder; its xid stays. */
export function redirectToPlaceholder(page: Bytes, offset: number): void {
  const tuple = itemStart(page, offset);
  setU8(page, tuple, u8(page, tuple) | STATE_PLACEHOLDER);
  setItemPointer(page, tuple + 6, NO_LINK);
  addRedirections(page, -1);
  addPlaceholders(page, 1);
}

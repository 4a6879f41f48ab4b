/** Posting lists: index tuples with many heap item pointers (nbtree.h, nbtdedup.c). */
import { BLCKSZ } from '@neon-snapshot/postgres';
import {
  align8,
  type ByteRange,
  type Bytes,
  copyBytes,
  copyOfBytes,
  fillBytes,
  newBytes,
  setU16,
  u16,
} from '../bytes.ts';
import { insertItem } from '../page/add-item.ts';
import { itemLength, itemStart } from '../page/line-pointer.ts';
import { blockId, INDEX_TUPLE_INFO, ITEM_POINTER_SIZE, indexTupleSize, setBlockId } from '../page/tuple.ts';
import type { RedoContext } from '../redo-context.ts';
import { invalidPage, invalidRecord } from '../redo-fault.ts';

const INDEX_ALT_TID_MASK = 0x2000;
const INDEX_SIZE_MASK = 0x1fff;
const BT_IS_POSTING = 0x2000;
const BT_OFFSET_MASK = 0x0fff;

/** A tuple and what its posting list is, if it has one. */
export interface PostingTuple extends ByteRange {
  /** Bytes before the posting list (the whole tuple where there is none). */
  readonly keySize: number;
  /** 1 for a plain tuple. */
  readonly count: number;
}

/** Offset of the item pointer with an index. */
export function itemPointerAt(tuple: PostingTuple, index: number): number {
  return tuple.count === 1 && tuple.keySize === tuple.length
    ? tuple.start
    : tuple.start + tuple.keySize + ITEM_POINTER_SIZE * index;
}

/** The tuple at `start`, whose bytes are checked to be there. */
export function readPostingTuple(bytes: Bytes, start: number): PostingTuple {
  const length = indexTupleSize(bytes, start);
  if (start + length > bytes.length)
    throw invalidPage(`index tuple of ${length} bytes passes its page or record`);
  const isPosting =
    (u16(bytes, start + INDEX_TUPLE_INFO) & INDEX_ALT_TID_MASK) !== 0 &&
    (u16(bytes, start + 4) & BT_IS_POSTING) !== 0;
  if (!isPosting) return { bytes, start, length, keySize: length, count: 1 };
  const keySize = blockId(bytes, start);
  const count = u16(bytes, start + 4) & BT_OFFSET_MASK;
  if (count === 0 || keySize < 8 || keySize + ITEM_POINTER_SIZE * count > length) {
    throw invalidPage(`posting list of ${count} at ${keySize} in a tuple of ${length} bytes`);
  }
  return { bytes, start, length, keySize, count };
}

const formed = newBytes(BLCKSZ);

/**
 * `_bt_form_posting`: the key of a tuple with the first `count` of other item pointers; a plain tuple where there is one.
 * Valid until the next call, with zeros behind it up to a multiple of 8.
 */
export function formPosting(key: PostingTuple, itemPointers: Bytes, count: number): ByteRange {
  const { bytes, start, keySize } = key;
  const pointersSize = ITEM_POINTER_SIZE * count;
  const size = count > 1 ? align8(keySize + pointersSize) : keySize;
  if (count === 0 || count > BT_OFFSET_MASK || size > INDEX_SIZE_MASK) {
    throw invalidRecord(`posting list of ${count} item pointers`);
  }
  const tuple = formed;
  fillBytes(tuple, 0, 0, align8(size));
  copyBytes(tuple, 0, bytes, start, keySize);
  const info = (u16(tuple, INDEX_TUPLE_INFO) & ~INDEX_SIZE_MASK & ~INDEX_ALT_TID_MASK) | size;
  if (count > 1) {
    setU16(tuple, INDEX_TUPLE_INFO, info | INDEX_ALT_TID_MASK);
    setBlockId(tuple, 0, keySize);
    setU16(tuple, 4, count | BT_IS_POSTING);
    copyBytes(tuple, keySize, itemPointers, 0, pointersSize);
  } else {
    setU16(tuple, INDEX_TUPLE_INFO, info);
    copyBytes(tuple, 0, itemPointers, 0, ITEM_POINTER_SIZE);
  }
  return { bytes: tuple, start: 0, length: size };
}

/**
 * `_bt_swap_posting`: a new tuple whose item pointer belongs inside an old tuple's list takes the list's last one, and the
 * list takes its. Changes both given copies.
 */
export function swapPosting(newTuple: Bytes, oldTuple: Bytes, index: number): void {
  const old = readPostingTuple(oldTuple, 0);
  if (index <= 0 || index >= old.count || newTuple.length < ITEM_POINTER_SIZE) {
    throw invalidRecord(`posting offset ${index} in a list of ${old.count}`);
  }
  const last = copyOfBytes(oldTuple, itemPointerAt(old, old.count - 1), itemPointerAt(old, old.count));
  const at = itemPointerAt(old, index);
  copyBytes(oldTuple, at + ITEM_POINTER_SIZE, oldTuple, at, ITEM_POINTER_SIZE * (old.count - 1 - index));
  copyBytes(oldTuple, at, newTuple, 0, ITEM_POINTER_SIZE);
  copyBytes(newTuple, 0, last, 0, last.length);
}

/** INSERT_POST: the data is the posting offset and the new tuple; the old one lies before where the new one goes. */
export function insertPosting(context: RedoContext, offset: number): void {
  const { page, data } = context;
  const start = itemStart(page, offset - 1);
  const oldTuple = copyOfBytes(page, start, start + itemLength(page, offset - 1));
  const newTuple = copyOf(data.range(2, data.length - 2));
  swapPosting(newTuple, oldTuple, data.u16(0));
  copyBytes(page, start, oldTuple, 0, oldTuple.length);
  insertItem(page, offset, wholeOf(newTuple));
}

export function copyOf(range: ByteRange): Bytes {
  return copyOfBytes(range.bytes, range.start, range.start + range.length);
}

export function wholeOf(bytes: Bytes): ByteRange {
  return { bytes, start: 0, length: bytes.length };
}

/** Compressed posting lists of GIN (ginpostinglist.c) and how redo edits those of a leaf (`ginRedoRecompress`). */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { align2, type Bytes, copyBytes, copyOfBytes, newBytes, setU16, u8, u16 } from '../bytes.ts';
import { CONTENTS, pdLower, setPdLower } from '../page/header.ts';
import { blockId, ITEM_POINTER_SIZE, setBlockId } from '../page/tuple.ts';
import type { RecordData } from '../record-data.ts';
import { invalidPage, invalidRecord } from '../redo-fault.ts';
import { GIN_COMPRESSED, ginFlags, maxOffset, setGinFlags, setMaxOffset } from './gin-page.ts';

/** Where posting lists and posting items begin on data pages: behind the right bound, an item pointer padded to 8. */
export const DATA_AT = CONTENTS + 8;

/** A segment: first item pointer, u16 count of bytes, deltas as varbytes; padded to 2. */
const SEGMENT_HEADER_SIZE = 8;

/** `GIN_SEGMENT_*` */
const SEGMENT_DELETE = 1;
const SEGMENT_INSERT = 2;
const SEGMENT_REPLACE = 3;
const SEGMENT_ADDITEMS = 4;

/** `MaxBytesPerInteger`: an item pointer is 43 bits here, 32 of block and 11 of offset. */
const VARBYTES_MAX = 7;
const OFFSETS_PER_BLOCK = 2048;

const segmentSize = (bytes: Bytes, at: number): number =>
  SEGMENT_HEADER_SIZE + align2(u16(bytes, at + ITEM_POINTER_SIZE));

export function setDataSize(page: Bytes, size: number): void {
  setPdLower(page, DATA_AT + size);
}

/** Applies the actions of `ginxlogRecompressDataLeaf` at `at` of the data to the segments of a leaf. */
export function recompressLeaf(page: Bytes, data: RecordData, at: number): void {
  if ((ginFlags(page) & GIN_COMPRESSED) === 0) compressWholeLeaf(page);
  if (pdLower(page) < DATA_AT) throw invalidPage(`pd_lower ${pdLower(page)} of a GIN leaf`);
  const editor = new SegmentEditor(page);
  let next = at + 2;
  for (let count = data.u16(at); count > 0; count--) {
    editor.keepUpTo(data.u8(next));
    const action = data.u8(next + 1);
    next += 2;
    switch (action) {
      case SEGMENT_DELETE:
        editor.drop();
        break;
      case SEGMENT_INSERT:
      case SEGMENT_REPLACE: {
        const start = data.place(next, SEGMENT_HEADER_SIZE);
        const size = segmentSize(data.bytes, start);
        data.place(next, size);
        if (action === SEGMENT_REPLACE) editor.drop();
        editor.add(data.bytes, start, size);
        next += align2(size);
        break;
      }
      case SEGMENT_ADDITEMS: {
        const added = readItems(data, next + 2, data.u16(next));
        next += 2 + ITEM_POINTER_SIZE * added.length;
        const segment = encodeSegment(mergeItems(added, editor.items()));
        editor.drop();
        editor.add(segment, 0, segment.length);
        break;
      }
      default:
        throw invalidRecord(`GIN segment action ${action}`);
    }
  }
  editor.finish();
}

/** Writes the new segments over the old ones, which it keeps a copy of. */
class SegmentEditor {
  readonly #page: Bytes;
  readonly #old: Bytes;
  #oldAt = 0;
  #segment = 0;
  #to = DATA_AT;

  constructor(page: Bytes) {
    this.#page = page;
    this.#old = copyOfBytes(page, DATA_AT, pdLower(page));
  }

  /** Goes on to an old segment, keeping those before it. */
  keepUpTo(segment: number): void {
    while (this.#segment < segment) {
      const size = this.#size();
      this.add(this.#old, this.#oldAt, size);
      this.#oldAt += size;
      this.#segment++;
    }
  }

  drop(): void {
    this.#oldAt += this.#size();
    this.#segment++;
  }

  add(bytes: Bytes, start: number, size: number): void {
    copyBytes(this.#page, this.#to, bytes, start, size);
    this.#to += size;
  }

  /** Item pointers of the segment that it stands at. */
  items(): number[] {
    return decodeSegment(this.#old, this.#oldAt);
  }

  finish(): void {
    this.add(this.#old, this.#oldAt, this.#old.length - this.#oldAt);
    setDataSize(this.#page, this.#to - DATA_AT);
  }

  #size(): number {
    const size = segmentSize(this.#old, this.#oldAt);
    if (this.#oldAt + size > this.#old.length) throw invalidPage('GIN segments pass the end of the page');
    return size;
  }
}

/** Leaves of 9.3 and before hold plain item pointers, as many as maxoff says. */
function compressWholeLeaf(page: Bytes): void {
  const count = maxOffset(page);
  let size = 0;
  if (count > 0) {
    const items: number[] = [];
    for (let index = 0; index < count; index++)
      items.push(itemNumber(page, DATA_AT + ITEM_POINTER_SIZE * index));
    const segment = encodeSegment(items);
    copyBytes(page, DATA_AT, segment, 0, segment.length);
    size = segment.length;
  }
  setDataSize(page, size);
  setGinFlags(page, ginFlags(page) | GIN_COMPRESSED);
  setMaxOffset(page, 0);
}

function readItems(data: RecordData, at: number, count: number): number[] {
  const items: number[] = [];
  for (let index = 0; index < count; index++) {
    items.push(itemNumber(data.bytes, data.place(at + ITEM_POINTER_SIZE * index, ITEM_POINTER_SIZE)));
  }
  return items;
}

/** `itemptr_to_uint64`; fits a double. */
function itemNumber(bytes: Bytes, at: number): number {
  return blockId(bytes, at) * OFFSETS_PER_BLOCK + u16(bytes, at + 4);
}

/** `ginPostingListDecode` */
function decodeSegment(bytes: Bytes, at: number): number[] {
  let item = itemNumber(bytes, at);
  const items = [item];
  const end = at + SEGMENT_HEADER_SIZE + u16(bytes, at + ITEM_POINTER_SIZE);
  for (let next = at + SEGMENT_HEADER_SIZE; next < end; ) {
    let delta = 0;
    let scale = 1;
    let byte: number;
    let length = 0;
    do {
      byte = u8(bytes, next++);
      delta += (byte & 0x7f) * scale;
      scale *= 128;
      if (++length > VARBYTES_MAX) throw invalidPage('GIN posting list with a number of more than 7 bytes');
    } while ((byte & 0x80) !== 0);
    item += delta;
    items.push(item);
  }
  return items;
}

const encoded = new Uint8Array(BLCKSZ);

/** `ginCompressPostingList` of ascending items, all of which have to fit a page. */
function encodeSegment(items: readonly number[]): Bytes {
  const [first = 0] = items;
  let length = SEGMENT_HEADER_SIZE;
  let before = first;
  for (let index = 1; index < items.length; index++) {
    const item = items[index] ?? 0;
    let delta = item - before;
    before = item;
    if (length > BLCKSZ - VARBYTES_MAX || delta < 0)
      throw invalidRecord('GIN posting list does not fit a page');
    while (delta > 0x7f) {
      encoded[length++] = 0x80 | (delta % 128);
      delta = Math.floor(delta / 128);
    }
    encoded[length++] = delta;
  }
  const segment = newBytes(align2(length));
  segment.array.set(encoded.subarray(0, length));
  setBlockId(segment, 0, Math.floor(first / OFFSETS_PER_BLOCK));
  setU16(segment, 4, first % OFFSETS_PER_BLOCK);
  setU16(segment, ITEM_POINTER_SIZE, length - SEGMENT_HEADER_SIZE);
  return segment;
}

/** `ginMergeItemPointers`: both ascending, an item in both once. */
function mergeItems(a: readonly number[], b: readonly number[]): number[] {
  const merged: number[] = [];
  let inA = 0;
  let inB = 0;
  while (inA < a.length || inB < b.length) {
    const fromA = a[inA] ?? Number.POSITIVE_INFINITY;
    const fromB = b[inB] ?? Number.POSITIVE_INFINITY;
    if (fromA <= fromB) inA++;
    if (fromB <= fromA) inB++;
    merged.push(Math.min(fromA, fromB));
  }
  return merged;
}

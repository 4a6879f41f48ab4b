/** `PageAddItem` of bufpage.c, with the offset number that every redo routine knows. */
import { align8, type ByteRange, type Bytes, copyBytes, moveBytes, setU32, u32 } from '../bytes.ts';
import { invalidPage } from '../redo-fault.ts';
import { assertSaneHeader, pdLower, pdUpper, setPdLower, setPdUpper } from './header.ts';
import {
  LINE_POINTER_SIZE,
  LP_NORMAL,
  linePointerPlace,
  makeLinePointer,
  maxOffsetNumber,
} from './line-pointer.ts';

/** Puts an item at an offset number, moving the line pointers from there on one up. */
export function insertItem(page: Bytes, offset: number, item: ByteRange): void {
  const { bytes, start, length } = item;
  copyBytes(page, insertSpace(page, offset, length), bytes, start, length);
}

/** Puts an item at an offset number that is unused, or the next (`PAI_OVERWRITE`). */
export function placeItem(page: Bytes, offset: number, item: ByteRange): void {
  const { bytes, start, length } = item;
  copyBytes(page, placeSpace(page, offset, length), bytes, start, length);
}

/** Puts an item behind the last. */
export function appendItem(page: Bytes, item: ByteRange): void {
  insertItem(page, maxOffsetNumber(page) + 1, item);
}

/** {@link insertItem} without the copy: gives where the item's bytes have to go. */
function insertSpace(page: Bytes, offset: number, length: number): number {
  assertSaneHeader(page);
  const next = maxOffsetNumber(page) + 1;
  assertOffsetAtMost(offset, next);
  const upper = takeSpace(page, length, true);
  const place = linePointerPlace(offset);
  if (offset < next) moveBytes(page, place + LINE_POINTER_SIZE, place, linePointerPlace(next) - place);
  setU32(page, place, makeLinePointer(upper, LP_NORMAL, length));
  return upper;
}

/** {@link placeItem} without the copy: gives where the item's bytes have to go. */
export function placeSpace(page: Bytes, offset: number, length: number): number {
  assertSaneHeader(page);
  const next = maxOffsetNumber(page) + 1;
  assertOffsetAtMost(offset, next);
  const place = linePointerPlace(offset);
  if (offset < next && (u32(page, place) & ~0x7fff) !== 0) {
    throw invalidPage(`offset number ${offset} is in use already`);
  }
  const upper = takeSpace(page, length, offset === next);
  setU32(page, place, makeLinePointer(upper, LP_NORMAL, length));
  return upper;
}

function takeSpace(page: Bytes, length: number, needsLinePointer: boolean): number {
  const lower = pdLower(page) + (needsLinePointer ? LINE_POINTER_SIZE : 0);
  const upper = pdUpper(page) - align8(length);
  if (lower > upper || length === 0) throw invalidPage(`no room for an item of ${length} bytes`);
  setPdLower(page, lower);
  setPdUpper(page, upper);
  return upper;
}

function assertOffsetAtMost(offset: number, next: number): void {
  if (offset < 1 || offset > next) throw invalidPage(`offset number ${offset} is outside 1..${next}`);
}

/** `PageIndexTupleDelete` and its kin of bufpage.c, by which index pages change. */
import { align8, type ByteRange, type Bytes, copyBytes, moveBytes, setU32, u32 } from '../bytes.ts';
import { invalidPage, invalidRecord } from '../redo-fault.ts';
import { packItems } from './compact.ts';
import { assertSaneHeader, CONTENTS, pdLower, pdSpecial, pdUpper, setPdLower, setPdUpper } from './header.ts';
import {
  itemStart,
  LINE_POINTER_SIZE,
  linePointer,
  linePointerPlace,
  lpFlags,
  lpLength,
  lpOffset,
  makeLinePointer,
  maxOffsetNumber,
  moveLinePointer,
} from './line-pointer.ts';

/** Up to here single deletions are used, as in C; the result differs in the bytes of the free space. */
const SINGLE_DELETES_MAX = 2;

/** `PageIndexTupleDelete`: removes an item and its line pointer. */
export function deleteItem(page: Bytes, offset: number): void {
  assertSaneHeader(page);
  const start = itemStart(page, offset);
  const size = align8(lpLength(linePointer(page, offset)));
  const count = maxOffsetNumber(page);
  const place = linePointerPlace(offset);
  moveBytes(page, place, place + LINE_POINTER_SIZE, linePointerPlace(count) - place);
  closeGap(page, start, size);
  setPdLower(page, pdLower(page) - LINE_POINTER_SIZE);
  shiftItems(page, { count: count - 1, upTo: start, by: size });
}

/** `PageIndexMultiDelete`: removes items by ascending offset numbers. */
export function deleteItems(page: Bytes, offsets: readonly number[]): void {
  if (offsets.length <= SINGLE_DELETES_MAX) {
    for (const offset of offsets.toReversed()) deleteItem(page, offset);
    return;
  }
  assertSaneHeader(page);
  const count = maxOffsetNumber(page);
  let next = 0;
  let kept = 0;
  for (let offset = 1; offset <= count; offset++) {
    if (offsets[next] === offset) next++;
    else setU32(page, linePointerPlace(++kept), u32(page, linePointerPlace(offset)));
  }
  if (next !== offsets.length) throw invalidRecord('offset numbers to delete are not ascending or not there');
  setPdLower(page, CONTENTS + LINE_POINTER_SIZE * kept);
  if (kept > 0) packItems(page, kept);
  else setPdUpper(page, pdSpecial(page));
}

/** `PageIndexTupleDeleteNoCompact`: removes an item, but its line pointer stays unless it is the last. */
export function deleteItemKeepingOffsets(page: Bytes, offset: number): void {
  assertSaneHeader(page);
  const start = itemStart(page, offset);
  const size = align8(lpLength(linePointer(page, offset)));
  let count = maxOffsetNumber(page);
  if (offset < count) setU32(page, linePointerPlace(offset), 0);
  else {
    setPdLower(page, pdLower(page) - LINE_POINTER_SIZE);
    count--;
  }
  closeGap(page, start, size);
  shiftItems(page, { count, upTo: start, by: size });
}

/** `PageIndexTupleOverwrite`: puts another item, of any size that fits, in place of one. */
export function overwriteItem(page: Bytes, offset: number, item: ByteRange): void {
  assertSaneHeader(page);
  const lp = linePointer(page, offset);
  const start = itemStart(page, offset);
  const oldSize = align8(lpLength(lp));
  const newSize = align8(item.length);
  if (newSize > oldSize + pdUpper(page) - pdLower(page) || newSize === 0) {
    throw invalidPage(`no room for an item of ${item.length} bytes in place of item ${offset}`);
  }
  const by = oldSize - newSize;
  if (by !== 0) {
    const upper = pdUpper(page);
    if (start < upper) throw invalidPage(`item ${offset} lies in the free space`);
    moveBytes(page, upper + by, upper, start - upper);
    setPdUpper(page, upper + by);
    shiftItems(page, { count: maxOffsetNumber(page), upTo: start, by });
  }
  setU32(page, linePointerPlace(offset), makeLinePointer(start + by, lpFlags(lp), item.length));
  copyBytes(page, start + by, item.bytes, item.start, item.length);
}

/** Moves the items below a removed one up. */
function closeGap(page: Bytes, start: number, size: number): void {
  const upper = pdUpper(page);
  if (start < upper || start + size > pdSpecial(page)) {
    throw invalidPage(`an item of ${size} bytes at ${start} lies outside the page's items`);
  }
  moveBytes(page, upper + size, upper, start - upper);
  setPdUpper(page, upper + size);
}

function shiftItems(
  page: Bytes,
  shift: { readonly count: number; readonly upTo: number; readonly by: number },
): void {
  const { count, upTo, by } = shift;
  for (let offset = 1; offset <= count; offset++) {
    const place = linePointerPlace(offset);
    const lp = u32(page, place);
    if (lpLength(lp) !== 0 && lpOffset(lp) <= upTo)
      setU32(page, place, moveLinePointer(lp, lpOffset(lp) + by));
  }
}

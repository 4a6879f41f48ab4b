/** Defragmentation of bufpage.c. Bytes of the free space between pd_lower and pd_upper stay as Postgres leaves them. */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { align8, type Bytes, copyBytes, newBytes, setU32, u32 } from '../bytes.ts';
import { invalidPage } from '../redo-fault.ts';
import {
  assertSaneHeader,
  clearPageFlags,
  PD_HAS_FREE_LINES,
  pdLower,
  pdSpecial,
  pdUpper,
  setPageFlags,
  setPdLower,
  setPdUpper,
} from './header.ts';
import {
  LINE_POINTER_SIZE,
  LP_UNUSED,
  linePointerPlace,
  lpFlags,
  lpLength,
  lpOffset,
  maxOffsetNumber,
  moveLinePointer,
} from './line-pointer.ts';

/**
 * `PageRepairFragmentation`: packs the tuples against the special space and clears unused line pointers.
 * `dropsLinePointers`: also gives the unused line pointers at the end back (15 and later).
 */
export function repairFragmentation(page: Bytes, dropsLinePointers: boolean): void {
  assertSaneHeader(page);
  const count = maxOffsetNumber(page);
  let lastUsed = 0;
  let unused = 0;
  let before = BLCKSZ;
  let isDescending = true;
  for (let offset = 1; offset <= count; offset++) {
    const place = linePointerPlace(offset);
    const lp = u32(page, place);
    if (lpFlags(lp) === LP_UNUSED) {
      setU32(page, place, 0);
      unused++;
      continue;
    }
    lastUsed = offset;
    if (lpLength(lp) === 0) continue;
    if (lpOffset(lp) + align8(lpLength(lp)) > before) isDescending = false;
    before = lpOffset(lp);
  }
  packInOrder(page, count, isDescending);
  if (dropsLinePointers && lastUsed !== count) {
    unused -= count - lastUsed;
    setPdLower(page, pdLower(page) - LINE_POINTER_SIZE * (count - lastUsed));
  }
  markFreeLines(page, unused > 0);
}

/** `PageTruncateLinePointerArray`: gives unused line pointers at the end back, all but the first. */
export function truncateLinePointers(page: Bytes): void {
  let offset = maxOffsetNumber(page);
  let dropped = 0;
  while (offset > 1 && isUnused(page, offset)) {
    dropped++;
    offset--;
  }
  let hasFreeLines = false;
  for (; offset >= 1 && !hasFreeLines; offset--) hasFreeLines = isUnused(page, offset);
  if (dropped > 0) setPdLower(page, pdLower(page) - LINE_POINTER_SIZE * dropped);
  markFreeLines(page, hasFreeLines);
}

const packed = newBytes(BLCKSZ);

/** `compactify_tuples`: lays the items of the first `count` line pointers against the special space, in their order. */
export function packItems(page: Bytes, count: number): void {
  packInOrder(page, count, areItemsDescending(page, count));
}

/** `isDescending`: each item lies below the one before, as on most index pages; then none is moved over one that is still to be moved. */
function packInOrder(page: Bytes, count: number, isDescending: boolean): void {
  const oldUpper = pdUpper(page);
  const special = pdSpecial(page);
  const lower = pdLower(page);
  const source = isDescending ? page : packed;
  if (source === packed) copyBytes(packed, oldUpper, page, oldUpper, special - oldUpper);
  let upper = special;
  // Items that lie next to each other are copied in one go: those from `runStart` on belong at `upper`.
  let runStart = special;
  let runEnd = special;
  for (let offset = 1; offset <= count; offset++) {
    const place = linePointerPlace(offset);
    const lp = u32(page, place);
    if (lpLength(lp) === 0) continue;
    const start = lpOffset(lp);
    const length = align8(lpLength(lp));
    if (start < oldUpper || start + length > special) {
      throw invalidPage(`item ${offset} has offset ${start} and length ${lpLength(lp)}`);
    }
    if (start + length !== runStart) {
      if (upper !== runStart) copyBytes(page, upper, source, runStart, runEnd - runStart);
      runEnd = start + length;
    }
    runStart = start;
    upper -= length;
    if (upper < lower) throw invalidPage('items overlap');
    setU32(page, place, moveLinePointer(lp, upper));
  }
  if (upper !== runStart) copyBytes(page, upper, source, runStart, runEnd - runStart);
  setPdUpper(page, upper);
}

function areItemsDescending(page: Bytes, count: number): boolean {
  let before = BLCKSZ;
  for (let offset = 1; offset <= count; offset++) {
    const lp = u32(page, linePointerPlace(offset));
    if (lpLength(lp) === 0) continue;
    if (lpOffset(lp) + align8(lpLength(lp)) > before) return false;
    before = lpOffset(lp);
  }
  return true;
}

function isUnused(page: Bytes, offset: number): boolean {
  return lpFlags(u32(page, linePointerPlace(offset))) === LP_UNUSED;
}

function markFreeLines(page: Bytes, hasFreeLines: boolean): void {
  if (hasFreeLines) setPageFlags(page, PD_HAS_FREE_LINES);
  else clearPageFlags(page, PD_HAS_FREE_LINES);
}

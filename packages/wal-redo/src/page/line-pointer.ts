/** Line pointers (ItemIdData of itemid.h): 15 bits offset, 2 bits flags, 15 bits length; offset numbers count from 1. */
import { type Bytes, setU32, u32 } from '../bytes.ts';
import { invalidPage } from '../redo-fault.ts';
import { CONTENTS, pdLower } from './header.ts';

export const LP_UNUSED = 0;
export const LP_NORMAL = 1;
export const LP_REDIRECT = 2;
export const LP_DEAD = 3;

export const LINE_POINTER_SIZE = 4;

export const lpOffset = (lp: number): number => lp & 0x7fff;
export const lpFlags = (lp: number): number => (lp >>> 15) & 3;
export const lpLength = (lp: number): number => lp >>> 17;

export function makeLinePointer(offset: number, flags: number, length: number): number {
  return (offset | (flags << 15) | (length << 17)) >>> 0;
}

/** The same item somewhere else. */
export function moveLinePointer(lp: number, offset: number): number {
  return ((lp & ~0x7fff) | (offset & 0x7fff)) >>> 0;
}

/** `PageGetMaxOffsetNumber` */
export function maxOffsetNumber(page: Bytes): number {
  const lower = pdLower(page);
  return lower <= CONTENTS ? 0 : (lower - CONTENTS) >> 2;
}

/** Where the line pointer of an offset number lies. */
export const linePointerPlace = (offset: number): number => CONTENTS + LINE_POINTER_SIZE * (offset - 1);

/** The line pointer of an offset number that exists. */
export function linePointer(page: Bytes, offset: number): number {
  assertOffset(page, offset);
  return u32(page, linePointerPlace(offset));
}

export function setLinePointer(page: Bytes, offset: number, lp: number): void {
  assertOffset(page, offset);
  setU32(page, linePointerPlace(offset), lp);
}

/** Start of the item with an offset number; it has to have storage. */
export function itemStart(page: Bytes, offset: number): number {
  const lp = linePointer(page, offset);
  const start = lpOffset(lp);
  if (lpLength(lp) === 0 || start < CONTENTS || start + lpLength(lp) > page.length) {
    throw invalidPage(`item ${offset} has offset ${start} and length ${lpLength(lp)}`);
  }
  return start;
}

export function itemLength(page: Bytes, offset: number): number {
  return lpLength(linePointer(page, offset));
}

function assertOffset(page: Bytes, offset: number): void {
  const max = maxOffsetNumber(page);
  if (offset < 1 || offset > max) throw invalidPage(`offset number ${offset} is outside 1..${max}`);
}

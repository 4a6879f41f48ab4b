/** PageHeaderData (bufpage.h): pd_lsn 0, pd_checksum 8, pd_flags 10, pd_lower 12, pd_upper 14, pd_special 16, size 18, pd_prune_xid 20. */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { type Bytes, fillBytes, setU16, setU32, u16, u32 } from '../bytes.ts';
import { invalidPage } from '../redo-fault.ts';

/** Where line pointers, or an access method's own content, begin. */
export const CONTENTS = 24;

const PD_FLAGS = 10;
const PD_LOWER = 12;
const PD_UPPER = 14;
const PD_SPECIAL = 16;
const PD_PAGESIZE_VERSION = 18;
const PD_PRUNE_XID = 20;
const PAGE_LAYOUT_VERSION = 4;

export const PD_HAS_FREE_LINES = 1;
export const PD_ALL_VISIBLE = 4;

export const pdLower = (page: Bytes): number => u16(page, PD_LOWER);
export const pdUpper = (page: Bytes): number => u16(page, PD_UPPER);
export const pdSpecial = (page: Bytes): number => u16(page, PD_SPECIAL);
export const setPdLower = (page: Bytes, value: number): void => setU16(page, PD_LOWER, value);
export const setPdUpper = (page: Bytes, value: number): void => setU16(page, PD_UPPER, value);

export const pruneXid = (page: Bytes): number => u32(page, PD_PRUNE_XID);
export const setPruneXid = (page: Bytes, xid: number): void => setU32(page, PD_PRUNE_XID, xid);

export function setPageFlags(page: Bytes, flags: number): void {
  setU16(page, PD_FLAGS, u16(page, PD_FLAGS) | flags);
}

export function clearPageFlags(page: Bytes, flags: number): void {
  setU16(page, PD_FLAGS, u16(page, PD_FLAGS) & ~flags);
}

/** `PageIsNew` */
export const isNew = (page: Bytes): boolean => pdUpper(page) === 0;

/** `PageInit`: an empty page with `specialSize` bytes (a multiple of 8) at its end. */
export function initPage(page: Bytes, specialSize: number): void {
  fillBytes(page, 0, 0, page.length);
  setPdLower(page, CONTENTS);
  setPdUpper(page, BLCKSZ - specialSize);
  setU16(page, PD_SPECIAL, BLCKSZ - specialSize);
  setU16(page, PD_PAGESIZE_VERSION, BLCKSZ | PAGE_LAYOUT_VERSION);
}

/** `PageSetLSN` */
export function stampLsn(page: Bytes, high: number, low: number): void {
  setU32(page, 0, high);
  setU32(page, 4, low);
}

/** Start of the special space; REDO_INVALID_PAGE when it is not of `size` bytes. */
export function specialSpace(page: Bytes, size: number): number {
  const special = pdSpecial(page);
  if (special !== BLCKSZ - size) {
    throw invalidPage(`pd_special is ${special}; this kind of page has ${BLCKSZ - size}`);
  }
  return special;
}

/** The checks that `PageAddItem` and its kind make before they trust a header. */
export function assertSaneHeader(page: Bytes): void {
  const lower = pdLower(page);
  const upper = pdUpper(page);
  const special = pdSpecial(page);
  if (lower < CONTENTS || lower > upper || upper > special || special > BLCKSZ || special % 8 !== 0) {
    throw invalidPage(`page header: pd_lower ${lower}, pd_upper ${upper}, pd_special ${special}`);
  }
}

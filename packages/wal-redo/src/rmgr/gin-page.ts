/** GIN pages (ginblock.h): the special space holds rightlink u32, maxoff u16, flags u16. */
import { type Bytes, setU16, setU32, u16 } from '../bytes.ts';
import { initPage, specialSpace } from '../page/header.ts';
import { INVALID_BLOCK } from '../page/tuple.ts';

const SPECIAL_SIZE = 8;
const MAXOFF = 4;
const FLAGS = 6;

export const GIN_DATA = 1;
export const GIN_LEAF = 2;
export const GIN_DELETED = 4;
export const GIN_META = 8;
export const GIN_LIST = 16;
export const GIN_LIST_FULLROW = 32;
export const GIN_INCOMPLETE_SPLIT = 64;
export const GIN_COMPRESSED = 128;

const ginSpecial = (page: Bytes): number => specialSpace(page, SPECIAL_SIZE);
export const ginFlags = (page: Bytes): number => u16(page, ginSpecial(page) + FLAGS);
export const setGinFlags = (page: Bytes, flags: number): void =>
  setU16(page, ginSpecial(page) + FLAGS, flags);
export const maxOffset = (page: Bytes): number => u16(page, ginSpecial(page) + MAXOFF);
export const setMaxOffset = (page: Bytes, value: number): void =>
  setU16(page, ginSpecial(page) + MAXOFF, value);
export const setGinRightLink = (page: Bytes, block: number): void => setU32(page, ginSpecial(page), block);

/** `GinInitPage` */
export function initGinPage(page: Bytes, flags: number): void {
  initPage(page, SPECIAL_SIZE);
  setGinRightLink(page, INVALID_BLOCK);
  setGinFlags(page, flags);
}

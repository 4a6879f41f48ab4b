/**
 * What `wal_consistency_checking` leaves out of its comparison (bufmask.c and the `rm_mask` functions): bytes that redo
 * does not have to restore.
 */
import { BLCKSZ, RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import { type Bytes, setU16, setU32, u16, u32 } from '../bytes.ts';
import { CONTENTS, pdLower, pdSpecial, pdUpper } from '../page/header.ts';
import {
  LP_NORMAL,
  LP_UNUSED,
  linePointerPlace,
  lpFlags,
  lpLength,
  lpOffset,
  maxOffsetNumber,
} from '../page/line-pointer.ts';
import { setItemPointer } from '../page/tuple.ts';

/** Masks a page in place as the resource manager of a record would. */
export function maskPage(resourceManager: number, page: Bytes, blockNumber: number): void {
  maskLsnAndChecksum(page);
  (MASKS[resourceManager] ?? maskUnusedSpace)(page, blockNumber);
}

type Mask = (page: Bytes, blockNumber: number) => void;

const MASKS: Readonly<Record<number, Mask>> = {
  [RESOURCE_MANAGER.heap]: maskHeap,
  [RESOURCE_MANAGER.heap2]: maskHeap,
  [RESOURCE_MANAGER.btree]: maskBtree,
  [RESOURCE_MANAGER.hash]: maskHash,
  [RESOURCE_MANAGER.gin]: maskGin,
  [RESOURCE_MANAGER.gist]: maskGist,
  [RESOURCE_MANAGER.spGist]: maskSpgist,
  [RESOURCE_MANAGER.brin]: maskBrin,
};

function maskLsnAndChecksum(page: Bytes): void {
  page.array.fill(0, 0, 10);
}

/** pd_prune_xid, PD_PAGE_FULL, PD_HAS_FREE_LINES, PD_ALL_VISIBLE */
function maskHintBits(page: Bytes): void {
  setU32(page, 20, 0);
  setU16(page, 10, u16(page, 10) & ~7);
}

function maskUnusedSpace(page: Bytes): void {
  const lower = pdLower(page);
  const upper = pdUpper(page);
  if (lower >= CONTENTS && lower <= upper && upper <= BLCKSZ) page.array.fill(0, lower, upper);
}

/** Everything behind the header of a page that is not in use. */
function maskContent(page: Bytes): void {
  page.array.fill(0, CONTENTS);
  setU16(page, 12, 0);
  setU16(page, 14, 0);
}

function maskLinePointerFlags(page: Bytes): void {
  for (let offset = 1; offset <= maxOffsetNumber(page); offset++) {
    const place = linePointerPlace(offset);
    const lp = u32(page, place);
    if (lpFlags(lp) !== LP_UNUSED) setU32(page, place, lp & ~(3 << 15));
  }
}

const HEAP_XMIN_FROZEN = 0x0300;
const HEAP_XMAX_HINTS = 0x0c00;
const HEAP_XACT_MASK = 0xfff0;
const SPECULATIVE_TOKEN = 0xfffe;

function maskHeap(page: Bytes, blockNumber: number): void {
  maskHintBits(page);
  maskUnusedSpace(page);
  for (let offset = 1; offset <= maxOffsetNumber(page); offset++) {
    const lp = u32(page, linePointerPlace(offset));
    const tuple = lpOffset(lp);
    if (lpFlags(lp) === LP_NORMAL) {
      const infomask = u16(page, tuple + 20);
      const isFrozen = (infomask & HEAP_XMIN_FROZEN) === HEAP_XMIN_FROZEN;
      setU16(page, tuple + 20, infomask & ~(isFrozen ? HEAP_XMAX_HINTS : HEAP_XACT_MASK));
      setU32(page, tuple + 8, 0);
      if (u16(page, tuple + 16) === SPECULATIVE_TOKEN) {
        setItemPointer(page, tuple + 12, { block: blockNumber, offset });
      }
    }
    const end = tuple + lpLength(lp);
    if (lpLength(lp) !== 0) page.array.fill(0, end, (end + 7) & ~7);
  }
}

function maskBtree(page: Bytes): void {
  maskHintBits(page);
  maskUnusedSpace(page);
  const special = pdSpecial(page);
  if (special !== BLCKSZ - 16) return;
  const flags = u16(page, special + 12);
  if ((flags & 1) !== 0) maskLinePointerFlags(page);
  setU16(page, special + 12, flags & ~(0x40 | 0x20));
  setU16(page, special + 14, 0);
}

function maskHash(page: Bytes): void {
  maskHintBits(page);
  maskUnusedSpace(page);
  const special = pdSpecial(page);
  const flag = u16(page, special + 12);
  const type = flag & 15;
  if (type === 0) {
    maskContent(page);
    return;
  }
  if (type === 1 || type === 2) maskLinePointerFlags(page);
  setU16(page, special + 12, flag & ~0x80);
}

function maskGist(page: Bytes): void {
  maskHintBits(page);
  maskUnusedSpace(page);
  const special = pdSpecial(page);
  page.array.fill(0, special, special + 8);
  const flags = u16(page, special + 12) | 8;
  if ((flags & 1) !== 0) maskLinePointerFlags(page);
  setU16(page, special + 12, flags & ~16);
}

function maskGin(page: Bytes): void {
  maskHintBits(page);
  const isDeleted = (u16(page, pdSpecial(page) + 6) & 4) !== 0;
  if (isDeleted) maskContent(page);
  else if (pdLower(page) > CONTENTS) maskUnusedSpace(page);
}

function maskSpgist(page: Bytes): void {
  maskHintBits(page);
  maskUnusedSpace(page);
}

const BRIN_REGULAR = 0xf093;
const BRIN_META = 0xf091;

function maskBrin(page: Bytes): void {
  maskHintBits(page);
  const type = u16(page, BLCKSZ - 2);
  if (type === BRIN_REGULAR || (type === BRIN_META && pdLower(page) > CONTENTS)) maskUnusedSpace(page);
  setU16(page, BLCKSZ - 4, u16(page, BLCKSZ - 4) & ~1);
}

/** Hash pages (hash.h): the special space holds prevblkno, nextblkno, bucket u32, flag, page id u16. */
import { type Bytes, fillBytes, setU16, setU32, u16, u32 } from '../bytes.ts';
import { CONTENTS, initPage, setPdLower, specialSpace } from '../page/header.ts';
import { INVALID_BLOCK } from '../page/tuple.ts';
import type { RecordData } from '../record-data.ts';
import { invalidRecord } from '../redo-fault.ts';

const SPECIAL_SIZE = 16;
const PREV_BLOCK = 0;
const NEXT_BLOCK = 4;
const BUCKET = 8;
const FLAG = 12;
const PAGE_ID_AT = 14;
const PAGE_ID = 0xff80;

export const LH_UNUSED_PAGE = 0;
export const LH_OVERFLOW_PAGE = 1;
const LH_BITMAP_PAGE = 4;
const LH_META_PAGE = 8;
export const LH_BUCKET_NEEDS_SPLIT_CLEANUP = 64;
export const LH_PAGE_HAS_DEAD_TUPLES = 128;

/** Fields of `HashMetaPageData` on the page. */
export const META = {
  ntuples: CONTENTS + 8,
  maxbucket: CONTENTS + 24,
  highmask: CONTENTS + 28,
  lowmask: CONTENTS + 32,
  ovflpoint: CONTENTS + 36,
  firstfree: CONTENTS + 40,
  nmaps: CONTENTS + 44,
  procid: CONTENTS + 48,
  spares: CONTENTS + 52,
  mapp: CONTENTS + 444,
  end: CONTENTS + 4544,
} as const;

const HASH_MAGIC = 0x6440640;
const HASH_VERSION = 4;
const BUCKET_SIZE = 8152;
const BITMAP_SIZE = 4096;
const BITMAP_SHIFT = 15;
const BUCKETS_MIN = 2;
const BUCKETS_MAX = 0x4000_0000;

/** Split point groups of one phase come first, later ones have four. */
const ONE_PHASE_GROUPS = 10;

const hashSpecial = (page: Bytes): number => specialSpace(page, SPECIAL_SIZE);
export const setPrevBlock = (page: Bytes, block: number): void =>
  setU32(page, hashSpecial(page) + PREV_BLOCK, block);
export const setNextBlock = (page: Bytes, block: number): void =>
  setU32(page, hashSpecial(page) + NEXT_BLOCK, block);
export const setHashFlag = (page: Bytes, flag: number): void => setU16(page, hashSpecial(page) + FLAG, flag);

export function clearHashFlag(page: Bytes, bit: number): void {
  const at = hashSpecial(page) + FLAG;
  setU16(page, at, u16(page, at) & ~bit);
}

export interface HashSpecial {
  readonly previous: number;
  readonly next: number;
  readonly bucket: number;
  readonly flag: number;
}

export function initHashPage(page: Bytes, special: HashSpecial): void {
  initPage(page, SPECIAL_SIZE);
  const at = hashSpecial(page);
  setU32(page, at + PREV_BLOCK, special.previous);
  setU32(page, at + NEXT_BLOCK, special.next);
  setU32(page, at + BUCKET, special.bucket);
  setU16(page, at + FLAG, special.flag);
  setU16(page, at + PAGE_ID_AT, PAGE_ID);
}

/** A page of no bucket, as all but bucket and overflow pages are. */
export function initLonePage(page: Bytes, flag: number): void {
  initHashPage(page, { previous: INVALID_BLOCK, next: INVALID_BLOCK, bucket: INVALID_BLOCK, flag });
}

/** `_hash_initbitmapbuffer`: all overflow pages that it stands for are in use, or not there yet. */
export function initBitmapPage(page: Bytes, sizeBytes: number): void {
  if (CONTENTS + sizeBytes > page.length - SPECIAL_SIZE)
    throw invalidRecord(`hash bitmap of ${sizeBytes} bytes`);
  initLonePage(page, LH_BITMAP_PAGE);
  fillBytes(page, 0xff, CONTENTS, CONTENTS + sizeBytes);
  setPdLower(page, CONTENTS + sizeBytes);
}

export function changeBitmapBit(page: Bytes, bit: number, isSet: boolean): void {
  const at = CONTENTS + 4 * (bit >>> 5);
  const mask = 1 << (bit & 31);
  setU32(page, at, isSet ? u32(page, at) | mask : u32(page, at) & ~mask);
}

/** `_hash_init_metabuffer`; main data: num_tuples f64, procid u32, ffactor u16. */
export function initHashMetapage(page: Bytes, main: RecordData): void {
  const fillFactor = main.u16(12);
  if (fillFactor === 0) throw invalidRecord('hash fill factor 0');
  const buckets = bucketsFor(main.f64(0) / fillFactor);
  const spare = spareIndex(buckets);
  initLonePage(page, LH_META_PAGE);
  setU32(page, CONTENTS, HASH_MAGIC);
  setU32(page, CONTENTS + 4, HASH_VERSION);
  setU16(page, CONTENTS + 16, fillFactor);
  setU16(page, CONTENTS + 18, BUCKET_SIZE);
  setU16(page, CONTENTS + 20, BITMAP_SIZE);
  setU16(page, CONTENTS + 22, BITMAP_SHIFT);
  const highmask = 2 ** Math.ceil(Math.log2(buckets + 1)) - 1;
  setU32(page, META.maxbucket, buckets - 1);
  setU32(page, META.highmask, highmask);
  setU32(page, META.lowmask, highmask >>> 1);
  setU32(page, META.ovflpoint, spare);
  setU32(page, META.procid, main.u32(8));
  setU32(page, META.spares + 4 * spare, 1);
  setPdLower(page, META.end);
}

function bucketsFor(wanted: number): number {
  if (!(wanted > BUCKETS_MIN)) return BUCKETS_MIN;
  return wanted >= BUCKETS_MAX ? BUCKETS_MAX : totalBuckets(spareIndex(Math.trunc(wanted)));
}

/** `_hash_spareindex`: the split point phase that holds a number of buckets. */
function spareIndex(buckets: number): number {
  const group = Math.ceil(Math.log2(buckets));
  if (group < ONE_PHASE_GROUPS) return group;
  return ONE_PHASE_GROUPS + ((group - ONE_PHASE_GROUPS) << 2) + (((buckets - 1) >>> (group - 3)) & 3);
}

/** `_hash_get_totalbuckets` */
function totalBuckets(phase: number): number {
  if (phase < ONE_PHASE_GROUPS) return 1 << phase;
  const group = ONE_PHASE_GROUPS + ((phase - ONE_PHASE_GROUPS) >> 2);
  const before = 1 << (group - 1);
  return before + (before >> 2) * (((phase - ONE_PHASE_GROUPS) & 3) + 1);
}

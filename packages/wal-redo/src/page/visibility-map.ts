/** Pages of the visibility map (visibilitymap.c): two bits for each heap block behind the page header. */
import { BLCKSZ, isNewPage } from '@neon-snapshot/postgres';
import { Bytes, fillBytes, setU8, u8 } from '../bytes.ts';
import { invalidRecord } from '../redo-fault.ts';
import { CONTENTS, initPage } from './header.ts';

export const VISIBILITYMAP_ALL_VISIBLE = 1;
export const VISIBILITYMAP_ALL_FROZEN = 2;

/** Heap blocks that one page of the map covers. */
export const HEAP_BLOCKS_PER_PAGE = (BLCKSZ - CONTENTS) * 4;

/** Block of the map that holds a heap block's bits. */
export function visibilityMapBlock(heapBlock: number): number {
  return Math.floor(heapBlock / HEAP_BLOCKS_PER_PAGE);
}

/** `visibilitymap_clear`: as Postgres reads it, a new page becomes an empty one. pd_lsn stays. */
export function clearVisibilityBits(array: Uint8Array, heapBlock: number, bits: number): void {
  const page = new Bytes(array);
  if (isNewPage(array)) initPage(page, 0);
  const { place, shift } = placeOf(heapBlock);
  setU8(page, place, u8(page, place) & ~(bits << shift));
}

/** `visibilitymap_set`; false where the bits are that already, then pd_lsn stays too. */
export function setVisibilityBits(page: Bytes, heapBlock: number, bits: number): boolean {
  const { place, shift } = placeOf(heapBlock);
  const map = u8(page, place);
  if (((map >> shift) & 3) === bits) return false;
  setU8(page, place, map | (bits << shift));
  return true;
}

/** What is cut off the map when its heap is truncated to some length. */
export interface VisibilityMapTruncation {
  /** First block of the map that changes: it is cut at `byte` and `shift`, later ones go. */
  readonly block: number;
  /** Within the map part of the page. */
  readonly byte: number;
  /** Bits of that byte that stay, 0 to 6. */
  readonly shift: number;
  /** False: the cut is between pages, so `block` itself goes. */
  readonly cutsPage: boolean;
}

/** `visibilitymap_prepare_truncate` */
export function visibilityMapTruncation(heapBlocks: number): VisibilityMapTruncation {
  const inPage = heapBlocks % HEAP_BLOCKS_PER_PAGE;
  const byte = inPage >> 2;
  const shift = (inPage & 3) * 2;
  return { block: visibilityMapBlock(heapBlocks), byte, shift, cutsPage: inPage !== 0 };
}

/** Clears the bits of all heap blocks behind the cut. pd_lsn stays. */
export function truncateVisibilityMapPage(
  page: Uint8Array,
  cut: Pick<VisibilityMapTruncation, 'byte' | 'shift'>,
): void {
  const { byte, shift } = cut;
  const size = BLCKSZ - CONTENTS;
  if (!Number.isInteger(byte) || byte < 0 || byte >= size || ![0, 2, 4, 6].includes(shift)) {
    throw invalidRecord(`visibility map is to be cut at byte ${byte}, bit ${shift}`);
  }
  const bytes = new Bytes(page);
  fillBytes(bytes, 0, CONTENTS + byte + 1, BLCKSZ);
  setU8(bytes, CONTENTS + byte, u8(bytes, CONTENTS + byte) & ((1 << shift) - 1));
}

function placeOf(heapBlock: number): { readonly place: number; readonly shift: number } {
  return { place: CONTENTS + ((heapBlock % HEAP_BLOCKS_PER_PAGE) >> 2), shift: (heapBlock & 3) * 2 };
}

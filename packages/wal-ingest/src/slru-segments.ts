import {
  decodeSizeValue,
  decodeSlruSegmentDirectory,
  encodeSizeValue,
  encodeSlruSegmentDirectory,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
} from '@neon-snapshot/neon-layer';
import { SLRU_PAGES_PER_SEGMENT, type SlruKind } from '@neon-snapshot/postgres';
import type { Modification } from './modification.ts';
import { ZERO_PAGE } from './relation-catalog.ts';

/** The segment of an SLRU page, and the page's place in it. */
function slruPlace(pageNumber: number): { readonly segno: number; readonly block: number } {
  return {
    segno: Math.floor(pageNumber / SLRU_PAGES_PER_SEGMENT),
    block: pageNumber % SLRU_PAGES_PER_SEGMENT,
  };
}

/** Key of an SLRU page. */
export function slruPageKey(kind: SlruKind, pageNumber: number): Uint8Array {
  const { segno, block } = slruPlace(pageNumber);
  return slruBlockKey(kind, segno, block);
}

/** Makes a page of zeros, and its segment; pages that were skipped before it become zeros too. */
export async function zeroSlruPage(
  modification: Modification,
  kind: SlruKind,
  pageNumber: number,
): Promise<void> {
  const { segno, block } = slruPlace(pageNumber);
  const segments = await readSlruSegments(modification, kind);
  const exists = segments.includes(segno);
  if (!exists) writeSlruSegments(modification, kind, [...segments, segno]);
  const size = exists ? decodeSizeValue(await modification.get(slruSizeKey(kind, segno))) : 0;
  if (size <= block) modification.putImage(slruSizeKey(kind, segno), encodeSizeValue(block + 1));
  for (let gap = size; gap < block; gap += 1) {
    modification.putImage(slruBlockKey(kind, segno, gap), ZERO_PAGE);
  }
  modification.putImage(slruBlockKey(kind, segno, block), ZERO_PAGE);
}

export async function readSlruSegments(
  modification: Modification,
  kind: SlruKind,
): Promise<readonly number[]> {
  return decodeSlruSegmentDirectory(await modification.get(slruDirKey(kind)));
}

/** Stores which segments there are; sizes and pages of those left out stay behind and cannot be reached any more. */
export function writeSlruSegments(
  modification: Modification,
  kind: SlruKind,
  segments: readonly number[],
): void {
  modification.putImage(slruDirKey(kind), encodeSlruSegmentDirectory(segments));
}

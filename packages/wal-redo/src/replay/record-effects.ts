import { isNewPage, type RelTag } from '@neon-snapshot/postgres';
import {
  clearVisibilityBits,
  truncateVisibilityMapPage,
  visibilityMapTruncation,
} from '../page/visibility-map.ts';
import type { RedoEngine } from '../redo-engine.ts';
import { relationTruncation, visibilityClears } from '../visibility-effects.ts';

/** Pages that records change. */
export interface ChangingPages {
  /** True where pages of this block are kept here; others are somebody else's. */
  has(tag: RelTag, blockNumber: number): boolean;
  /** The page to change in place; zeros where there is none yet. */
  page(tag: RelTag, blockNumber: number): Uint8Array;
  truncate(tag: RelTag, blocks: number): void;
}

const VISIBILITY_FORK = 2;

/** What the record in the engine's decoder does to pages that it does not refer to. */
export function applyEffects({ decoder, settings }: RedoEngine, pages: ChangingPages): void {
  for (const clear of visibilityClears(decoder, settings)) {
    if (!pages.has(clear.tag, clear.mapBlock)) continue;
    clearVisibilityBits(pages.page(clear.tag, clear.mapBlock), clear.heapBlock, clear.bits);
  }
  const truncation = relationTruncation(decoder);
  if (truncation === undefined) return;
  const { tag, heapBlocks } = truncation;
  if (truncation.cutsMain) pages.truncate(tag, heapBlocks);
  if (!truncation.cutsVisibilityMap) return;
  const cut = visibilityMapTruncation(heapBlocks);
  const mapTag = { ...tag, forkNum: VISIBILITY_FORK } as const;
  if (cut.cutsPage && pages.has(mapTag, cut.block)) {
    const page = pages.page(mapTag, cut.block);
    if (!isNewPage(page)) truncateVisibilityMapPage(page, cut);
  }
  pages.truncate(mapTag, cut.block + (cut.cutsPage ? 1 : 0));
}

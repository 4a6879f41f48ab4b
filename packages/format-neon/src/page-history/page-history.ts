/** How a page of a relation comes to be what it is at an LSN: the image at its bottom and every record above it. */
import type { FormatOptions } from '@neon-snapshot/format-core';
import {
  type ChainPlace,
  type KeyChain,
  type NeonWalRecord,
  relBlockKey,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import { createTimelineRedo, redoPage } from '@neon-snapshot/neon-timeline';
import { BLCKSZ, formatLsn, type Lsn, type RelTag } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { isRedoError, type RedoEngine } from '@neon-snapshot/wal-redo';
import { translating } from '../layer-faults.ts';
import { parseReadOptions } from '../options.ts';
import { chooseTimeline } from '../read/choose-timeline.ts';
import { openView } from '../read/open-view.ts';
import { historyError, relationBlocks } from './find-page.ts';
import { type PageEffect, pageEffect } from './page-effect.ts';

export interface PageHistoryRequest {
  /** Read options of the format: `tenant_id`, `timeline_id`, `lsn` or `time`, `stripe_size`. */
  readonly options: FormatOptions;
  readonly tag: RelTag;
  readonly blockNumber: number;
  readonly signal?: AbortSignal | undefined;
}

/** A record that was applied. */
export interface HistoryStep extends ChainPlace {
  readonly record: NeonWalRecord;
  readonly willInit: boolean;
  /** Absent where redo could not apply it; then nothing follows. */
  readonly effect: PageEffect | undefined;
  readonly fault: { readonly code: string; readonly message: string } | undefined;
}

export interface PageHistory {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly postgresMajor: number;
  /** Where the timeline was read. */
  readonly lsn: Lsn;
  /** Blocks that the relation has there. */
  readonly relationBlocks: number;
  /** The image that records apply to; absent where the first of them makes the page. */
  readonly base:
    | (ChainPlace & { readonly page: Uint8Array; readonly in: 'image-layer' | 'delta-layer' })
    | undefined;
  /** Oldest first. */
  readonly steps: readonly HistoryStep[];
  /** The page at the LSN, as a page server serves it; absent where a step failed. */
  readonly page: Uint8Array | undefined;
}

/**
 * Reads the chain of one page and applies it record by record. Throws FormatError: `FORMAT_NOT_FOUND` for a relation or a block
 * that is not there, `FORMAT_LSN_OUT_OF_RANGE`, and what reading a timeline throws.
 */
export async function readPageHistory(storage: Storage, request: PageHistoryRequest): Promise<PageHistory> {
  const { tag, blockNumber, signal } = request;
  const options = parseReadOptions(request.options);
  return translating(async () => {
    const chosen = await chooseTimeline(storage, { ...options, signal });
    const view = await openView(storage, { options, chosen, signal });
    try {
      const { postgresMajor } = chosen.index;
      const blocks = await relationBlocks(view, { tag, blockNumber, signal });
      const chain = await readChain(view, request);
      const { tenantId, timelineId } = chosen;
      const of = { tenantId, timelineId, postgresMajor, lsn: view.lsn, relationBlocks: blocks };
      return { ...of, ...replay(createTimelineRedo(postgresMajor), chain, request) };
    } finally {
      view.close();
    }
  });
}

async function readChain(view: TimelineReader, request: PageHistoryRequest): Promise<KeyChain> {
  const { tag, blockNumber, signal } = request;
  const chain = await view.chain(relBlockKey(tag, blockNumber), { signal });
  if (chain !== undefined && (chain.image !== undefined || chain.changes.length > 0)) return chain;
  const problem = `the relation has the block by its size, and no layer has it at ${formatLsn(view.lsn)}`;
  throw historyError('FORMAT_TRUNCATED', { tag, blockNumber }, problem);
}

function replay(
  engine: RedoEngine,
  chain: KeyChain,
  { tag, blockNumber }: PageHistoryRequest,
): Pick<PageHistory, 'base' | 'steps' | 'page'> {
  const base = baseOf(chain);
  const page = new Uint8Array(BLCKSZ);
  if (base !== undefined) page.set(base.page.subarray(0, BLCKSZ));
  let hasPage = base !== undefined;
  const steps: HistoryStep[] = [];
  for (const { value, ...step } of chain.changes) {
    if (value.kind === 'image') continue;
    const before = Uint8Array.from(page);
    try {
      redoPage(engine, { tag, blockNumber, page, hasPage }, [{ lsn: step.lsn, record: value.record }]);
    } catch (error) {
      if (!isRedoError(error)) throw error;
      const { code, message } = error;
      steps.push({ ...step, record: value.record, effect: undefined, fault: { code, message } });
      return { base, steps, page: undefined };
    }
    hasPage = true;
    steps.push({ ...step, record: value.record, effect: pageEffect(before, page), fault: undefined });
  }
  return { base, steps, page };
}

function baseOf({ image, changes }: KeyChain): PageHistory['base'] {
  const [first] = changes;
  if (first?.value.kind === 'image') {
    const { lsn, layer, storedBytes, value } = first;
    return { lsn, layer, storedBytes, page: value.image, in: 'delta-layer' };
  }
  if (image === undefined) return undefined;
  const { value: page, ...place } = image;
  return { ...place, page, in: 'image-layer' };
}

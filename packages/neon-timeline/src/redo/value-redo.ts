import type { RedoFunction } from '@neon-snapshot/neon-layer';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { isRedoError } from '@neon-snapshot/wal-redo';
import { type RedoFallback, redoPageWithFallback } from './redo-fallback.ts';
import { createTimelineRedo, redoPage, redoValue } from './redo-records.ts';

export interface ValueRedoOptions {
  /** For records that redo does not know; absent, they are `REDO_UNSUPPORTED_RECORD`. */
  readonly fallback?: RedoFallback | undefined;
}

/** Redo of single keys: transaction status and the like, or one page. In the thread that asks. */
export function createValueRedo(postgresMajor: number, { fallback }: ValueRedoOptions = {}): RedoFunction {
  const engine = createTimelineRedo(postgresMajor);
  return async ({ parsedKey, base, records }, { signal }) => {
    if (parsedKey.kind !== 'relation-block') return redoValue(base, records);
    const { tag, blockNumber } = parsedKey;
    const page = new Uint8Array(BLCKSZ);
    const state = { tag, blockNumber, page, hasPage: base !== undefined };
    if (base !== undefined) page.set(base.subarray(0, BLCKSZ));
    try {
      redoPage(engine, state, records);
      return page;
    } catch (error) {
      if (fallback === undefined || !isRedoError(error, 'REDO_UNSUPPORTED_RECORD')) throw error;
    }
    page.fill(0);
    if (base !== undefined) page.set(base.subarray(0, BLCKSZ));
    await redoPageWithFallback(engine, { ...state, records }, { fallback, signal });
    return page;
  };
}

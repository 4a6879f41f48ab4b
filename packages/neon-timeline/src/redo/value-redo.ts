import type { RedoFunction } from '@neon-snapshot/neon-layer';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { createTimelineRedo, redoPage, redoValue } from './redo-records.ts';

/** Redo of single keys: transaction status and the like, or one page. In the thread that asks. */
export function createValueRedo(postgresMajor: number): RedoFunction {
  const engine = createTimelineRedo(postgresMajor);
  return async ({ parsedKey, base, records }) => {
    if (parsedKey.kind !== 'relation-block') return redoValue(base, records);
    const page = new Uint8Array(BLCKSZ);
    if (base !== undefined) page.set(base.subarray(0, BLCKSZ));
    const { tag, blockNumber } = parsedKey;
    redoPage(engine, { tag, blockNumber, page, hasPage: base !== undefined }, records);
    return page;
  };
}

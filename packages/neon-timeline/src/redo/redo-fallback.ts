/** Another redo for records that ours does not know. */
import type { RedoRecord } from '@neon-snapshot/neon-layer';
import { BLCKSZ, type Lsn, type RelTag } from '@neon-snapshot/postgres';
import { isRedoError, type RedoEngine } from '@neon-snapshot/wal-redo';
import { type PageState, redoPage } from './redo-records.ts';

export interface FallbackRequest {
  readonly tag: RelTag;
  readonly blockNumber: number;
  /** 8192 bytes, only read; absent where the record makes the page. */
  readonly base: Uint8Array | undefined;
  readonly record: { readonly endLsn: Lsn; readonly bytes: Uint8Array };
}

/** The page after a record that redo does not know. Rejects where it can't be made either. */
export type RedoFallback = (
  request: FallbackRequest,
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<Uint8Array>;

export interface FallbackOptions {
  readonly fallback: RedoFallback;
  readonly signal?: AbortSignal | undefined;
}

/** As `redoPage`, but that records which redo does not know go to the fallback, one by one. */
export async function redoPageWithFallback(
  engine: RedoEngine,
  state: PageState & { readonly records: readonly RedoRecord[] },
  { fallback, signal }: FallbackOptions,
): Promise<void> {
  const { page, tag, blockNumber, records } = state;
  let { hasPage } = state;
  for (const each of records) {
    const before = hasPage ? Uint8Array.from(page) : undefined;
    try {
      redoPage(engine, { tag, blockNumber, page, hasPage }, [each]);
    } catch (error) {
      if (!isRedoError(error, 'REDO_UNSUPPORTED_RECORD') || each.record.kind !== 'postgres') throw error;
      const record = { endLsn: each.lsn, bytes: each.record.record };
      const made = await fallback({ tag, blockNumber, base: before, record }, { signal });
      page.set(made.subarray(0, BLCKSZ));
    }
    hasPage = true;
  }
}

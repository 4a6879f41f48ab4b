/** Redo of WAL records by Postgres itself, as a format gets it injected. */
import type { Lsn, RelTag } from '@neon-snapshot/postgres';

export interface OpenStockRedoRequest {
  readonly postgresMajor: number;
  readonly signal?: AbortSignal | undefined;
}

export interface StockRedoPage {
  readonly tag: RelTag;
  readonly blockNumber: number;
  /** 8192 bytes, only read; absent where the first record makes the page. */
  readonly base?: Uint8Array | undefined;
  /** Whole records without WAL page headers, oldest first; each concerns the page. */
  readonly records: readonly { readonly endLsn: Lsn; readonly bytes: Uint8Array }[];
}

export interface StockRedoPages {
  /** One page after the other, in the order asked for; of a failed one the content is undefined. */
  readonly pages: Uint8Array;
  readonly failures: readonly { readonly index: number; readonly error: Error & { readonly code: string } }[];
}

/**
 * A stock Postgres of one major that replays records as Neon stores them, hint bits taken as not logged. A record that only Neon's
 * Postgres reads fails its page with the code `STOCK_REDO_UNSUPPORTED_RECORD`. Dispose to remove what it keeps on disk.
 */
export interface StockRedo extends AsyncDisposable {
  reconstructPages(
    requests: readonly StockRedoPage[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<StockRedoPages>;
}

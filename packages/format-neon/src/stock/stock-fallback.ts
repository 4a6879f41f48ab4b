/** Records that our redo does not know, by a stock Postgres, where the services have one. */
import type { FormatServices, StockRedo } from '@neon-snapshot/format-core';
import type { FallbackRequest, RedoFallback } from '@neon-snapshot/neon-timeline';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { RedoError } from '@neon-snapshot/wal-redo';

export interface StockFallbackOptions {
  readonly services: FormatServices;
  readonly postgresMajor: number;
}

/** Postgres is looked for when the first such record comes. Dispose to end it. */
export class StockFallback implements AsyncDisposable {
  readonly #options: StockFallbackOptions;
  #stock: Promise<StockRedo> | undefined;
  #recordCount = 0;

  constructor(options: StockFallbackOptions) {
    this.#options = options;
  }

  /** Records that Postgres replayed. */
  get recordCount(): number {
    return this.#recordCount;
  }

  /** Undefined where the services have no Postgres. */
  get redo(): RedoFallback | undefined {
    const { openStockRedo } = this.#options.services;
    if (openStockRedo === undefined) return undefined;
    const { postgresMajor } = this.#options;
    return async (request, { signal }) => {
      try {
        this.#stock ??= openStockRedo({ postgresMajor, signal });
        const page = await replay(await this.#stock, request, signal);
        this.#recordCount += 1;
        return page;
      } catch (cause) {
        if (signal?.aborted === true) throw cause;
        throw notReplayed(request, cause);
      }
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that could not be opened was reported by whoever asked for it.
    const stock = await this.#stock?.catch(() => undefined);
    await stock?.[Symbol.asyncDispose]();
  }
}

async function replay(
  stock: StockRedo,
  { tag, blockNumber, base, record }: FallbackRequest,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { pages, failures } = await stock.reconstructPages([{ tag, blockNumber, base, records: [record] }], {
    signal,
  });
  if (failures[0] !== undefined) throw failures[0].error;
  return pages.subarray(0, BLCKSZ);
}

function notReplayed({ tag, blockNumber }: FallbackRequest, cause: unknown): RedoError {
  const { spcNode, dbNode, relNode, forkNum } = tag;
  const block = `${spcNode}/${dbNode}/${relNode} fork ${forkNum} block ${blockNumber}`;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RedoError({
    code: 'REDO_UNSUPPORTED_RECORD',
    operation: 'redo by stock Postgres',
    message: `our redo does not know a record on ${block}, and stock Postgres did not replay it either: ${reason}`,
    context: { block },
    cause,
  });
}

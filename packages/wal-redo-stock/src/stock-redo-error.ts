/** What kind of failure it was. Stable: callers and scripts match on it. */
export type StockRedoErrorCode =
  /** A setting that the engine does not know, such as a major without one. */
  | 'STOCK_REDO_OPTION'
  /** A record is damaged. */
  | 'STOCK_REDO_INVALID_RECORD'
  /** A record that was given for a page does not concern it. */
  | 'STOCK_REDO_FOREIGN_RECORD'
  /** No stock Postgres reads the record: an extension's or Neon's. */
  | 'STOCK_REDO_UNSUPPORTED_RECORD'
  /** A base is not a page. */
  | 'STOCK_REDO_INVALID_PAGE'
  /** The first record needs a page to work on and there is none. */
  | 'STOCK_REDO_NO_BASE'
  /** Postgres did not replay the records of a page, or left no such page; the message has the end of its log. */
  | 'STOCK_REDO_FAILED'
  /** Postgres could not be run at all; the message has the end of its log. */
  | 'STOCK_REDO_POSTGRES'
  | 'STOCK_REDO_CLOSED'
  | 'STOCK_REDO_ABORTED';

export interface StockRedoErrorContext {
  /** `spc/db/rel fork block`. */
  readonly block?: string;
  /** End of the record, as Postgres prints it. */
  readonly lsn?: string;
  readonly resourceManager?: number;
  readonly info?: number;
}

export interface StockRedoErrorOptions {
  readonly code: StockRedoErrorCode;
  readonly operation: string;
  readonly message: string;
  readonly context?: StockRedoErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of this package. */
export class StockRedoError extends Error {
  override readonly name = 'StockRedoError';
  readonly code: StockRedoErrorCode;
  readonly operation: string;
  readonly context: StockRedoErrorContext;

  constructor(options: StockRedoErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link StockRedoError}, also one of another installed copy of this package. */
export function isStockRedoError(error: unknown, code?: StockRedoErrorCode): error is StockRedoError {
  if (!(error instanceof Error) || error.name !== 'StockRedoError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** Throws `STOCK_REDO_ABORTED` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}

export function abortedError(signal: AbortSignal | undefined): StockRedoError {
  return new StockRedoError({
    code: 'STOCK_REDO_ABORTED',
    operation: 'reconstruct pages',
    message: 'Redo by stock Postgres was interrupted',
    cause: signal?.reason,
  });
}

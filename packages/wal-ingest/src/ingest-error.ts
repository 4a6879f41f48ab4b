/** What kind of failure it was. Stable: callers and scripts match on it. */
export type IngestErrorCode =
  /** An option has no meaning, or options contradict each other. */
  | 'INGEST_INVALID_ARGUMENT'
  /** A record contradicts its format; its CRC may be right nevertheless. */
  | 'INGEST_INVALID_RECORD'
  /** A record that Neon's format cannot hold, or whose meaning is not known where guessing would ruin pages. */
  | 'INGEST_UNSUPPORTED'
  /** The timeline lacks a value that the record builds on, or has one that does not decode. */
  | 'INGEST_INVALID_STATE'
  /** A page is asked of own writes that only WAL redo can make, and none was given. */
  | 'INGEST_NEEDS_REDO'
  /** A length or count passes a named maximum; nothing was allocated. */
  | 'INGEST_TOO_LARGE'
  /** A record before the last one, or while the last one is not done, or after one that failed. */
  | 'INGEST_OUT_OF_ORDER';

export type IngestOperation = 'open' | 'ingest' | 'convert' | 'read' | 'build';

export type IngestErrorContext = Readonly<Record<string, string | number | boolean | undefined>>;

export interface IngestErrorOptions {
  readonly code: IngestErrorCode;
  readonly operation: IngestOperation;
  /** One sentence: what, where, expected, found. */
  readonly message: string;
  readonly context?: IngestErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of this package. Failures of the timeline's own reads pass through as they are. */
export class IngestError extends Error {
  override readonly name = 'IngestError';
  readonly code: IngestErrorCode;
  readonly operation: IngestOperation;
  readonly context: IngestErrorContext;

  constructor(options: IngestErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for an {@link IngestError}, also one of another installed copy of this package. */
export function isIngestError(error: unknown, code?: IngestErrorCode): error is IngestError {
  if (!(error instanceof Error) || error.name !== 'IngestError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

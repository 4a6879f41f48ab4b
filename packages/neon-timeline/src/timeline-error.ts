/** What kind of failure it was. Stable: callers and scripts match on it. */
export type TimelineErrorCode =
  /** An option has no meaning, or options contradict each other. */
  | 'TIMELINE_INVALID_ARGUMENT'
  /** The store lacks a guarantee that is needed. */
  | 'TIMELINE_UNSUPPORTED'
  /** WAL that no Postgres sends: a wrong CRC, link to the record before, length or page header. */
  | 'TIMELINE_WAL_CORRUPT'
  /** WAL of another cluster. */
  | 'TIMELINE_WAL_FOREIGN'
  /** The WAL that a base backup needs ends too early. */
  | 'TIMELINE_WAL_TRUNCATED'
  /** A record that is whole and cannot be ingested. */
  | 'TIMELINE_WAL_INVALID'
  /** Two chunks of raw WAL in storage contradict each other. */
  | 'TIMELINE_TAIL_CONFLICT'
  /** Raw WAL that passes a named maximum; nothing was read. */
  | 'TIMELINE_TOO_LARGE'
  /** A value that has to be there is not. */
  | 'TIMELINE_INCOMPLETE'
  /** A directory lists what cannot be. */
  | 'TIMELINE_INVALID_CONTENTS';

export type TimelineOperation = 'decode WAL' | 'put WAL' | 'read WAL' | 'ingest WAL' | 'read contents';

export type TimelineErrorContext = Readonly<Record<string, string | number | boolean | undefined>>;

export interface TimelineErrorOptions {
  readonly code: TimelineErrorCode;
  readonly operation: TimelineOperation;
  /** One sentence: what, where, expected, found. */
  readonly message: string;
  readonly context?: TimelineErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of this package. Failures of the storage, of layers and of redo pass through as they are. */
export class TimelineError extends Error {
  override readonly name = 'TimelineError';
  readonly code: TimelineErrorCode;
  readonly operation: TimelineOperation;
  readonly context: TimelineErrorContext;

  constructor(options: TimelineErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link TimelineError}, also one of another installed copy of this package. */
export function isTimelineError(error: unknown, code?: TimelineErrorCode): error is TimelineError {
  if (!(error instanceof Error) || error.name !== 'TimelineError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

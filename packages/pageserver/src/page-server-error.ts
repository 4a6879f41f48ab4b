export type PageServerErrorCode =
  /** No such tenant, timeline or relation. */
  | 'PAGESERVER_NOT_FOUND'
  /** The timeline id is taken. */
  | 'PAGESERVER_EXISTS'
  /** An LSN before the GC cutoff, or one that the timeline has not reached. */
  | 'PAGESERVER_LSN_OUT_OF_RANGE'
  /** The LSN did not arrive in time. */
  | 'PAGESERVER_TIMEOUT'
  /** Another process has the right to write: this one publishes nothing more. */
  | 'PAGESERVER_FENCED'
  /** Closed, or being closed. */
  | 'PAGESERVER_CLOSED'
  /** WAL that does not continue the timeline, or cannot be read. */
  | 'PAGESERVER_INVALID_WAL'
  /** What is stored contradicts itself. */
  | 'PAGESERVER_INVALID_STATE'
  | 'PAGESERVER_INVALID_ARGUMENT'
  /** A request of Neon's API that a page server for one tenant has nothing for. */
  | 'PAGESERVER_UNSUPPORTED'
  /** No token, or one that is not signed by a known key. */
  | 'PAGESERVER_UNAUTHORIZED'
  /** A token for something else. */
  | 'PAGESERVER_FORBIDDEN'
  | 'PAGESERVER_IO';

export interface PageServerErrorOptions {
  readonly code: PageServerErrorCode;
  /** What was being done: `open`, `read`, `ingest`, `push`. */
  readonly operation: string;
  /** One clause: what, where, expected, found, and the next step. */
  readonly message: string;
  readonly context?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly cause?: unknown;
}

/** The one error shape of this package. */
export class PageServerError extends Error {
  override readonly name = 'PageServerError';
  readonly code: PageServerErrorCode;
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(options: PageServerErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link PageServerError}, also one of another installed copy of this package. */
export function isPageServerError(error: unknown, code?: PageServerErrorCode): error is PageServerError {
  if (!(error instanceof Error) || error.name !== 'PageServerError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

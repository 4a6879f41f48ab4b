/** What kind of failure it was. Stable: callers and scripts match on it. */
export type PqErrorCode =
  /** An option has no meaning, or options contradict each other. */
  | 'PQ_INVALID_ARGUMENT'
  /** A setting or a server's demand that this client does not know how to meet. */
  | 'PQ_UNSUPPORTED'
  /** Nothing answers at the address, or the address is not known. */
  | 'PQ_CONNECT'
  /** TLS was asked for and is not to be had, or the certificate is not the right one. */
  | 'PQ_TLS'
  /** The server wants a password and none is at hand. */
  | 'PQ_PASSWORD_MISSING'
  /** The password is wrong, the user is unknown, or `pg_hba.conf` lets nobody in from here (28P01, 28000). */
  | 'PQ_AUTHENTICATION'
  /** The user lacks a privilege, such as REPLICATION (42501). */
  | 'PQ_NO_PRIVILEGE'
  /** All connections or all of `max_wal_senders` are in use (53300). */
  | 'PQ_TOO_MANY_CONNECTIONS'
  /** The server writes or sends too little WAL: `wal_level` minimal, or `max_wal_senders` 0. */
  | 'PQ_WAL_LEVEL'
  /** The WAL asked for is not there any more (58P01). */
  | 'PQ_WAL_REMOVED'
  /** The server starts up, shuts down or recovers (57P01, 57P02, 57P03). */
  | 'PQ_NOT_READY'
  /** Any other error that the server reported; see `sqlState` and `server`. */
  | 'PQ_SERVER'
  /** The peer broke the protocol, or a payload contradicts its format. */
  | 'PQ_PROTOCOL'
  /** A message is longer than its named maximum; it was not read. */
  | 'PQ_TOO_LARGE'
  /** The peer went away in the middle. */
  | 'PQ_CLOSED'
  /** A command while another one runs on the connection. */
  | 'PQ_BUSY'
  | 'PQ_TIMEOUT'
  | 'PQ_ABORTED';

export type PqErrorContext = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** The fields of an ErrorResponse or a NoticeResponse, as the server wrote them. */
export interface PqServerFields {
  /** `ERROR`, `FATAL`, `PANIC`; `WARNING`, `NOTICE` and so on for notices. Never localised. */
  readonly severity: string;
  /** SQLSTATE, five characters. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
  readonly position?: string;
  readonly routine?: string;
}

export interface PqErrorOptions {
  readonly code: PqErrorCode;
  /** What was being done: `connect`, `query`, `base backup`, ... */
  readonly operation: string;
  /** One sentence: what, where, expected, found, next step. Never a secret. */
  readonly message: string;
  readonly context?: PqErrorContext;
  readonly server?: PqServerFields | undefined;
  readonly cause?: unknown;
}

/** The one error shape of this package. */
export class PqError extends Error {
  override readonly name = 'PqError';
  readonly code: PqErrorCode;
  readonly operation: string;
  readonly context: PqErrorContext;
  /** What the server said, where it said something. */
  readonly server: PqServerFields | undefined;

  constructor(options: PqErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
    this.server = options.server;
  }

  get sqlState(): string | undefined {
    return this.server?.code;
  }
}

/** True for a {@link PqError}, also one of another installed copy of this package. */
export function isPqError(error: unknown, code?: PqErrorCode): error is PqError {
  if (!(error instanceof Error) || error.name !== 'PqError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** Throws `PQ_ABORTED` where the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, operation: string): void {
  if (signal?.aborted) throw abortedError(signal, operation);
}

export function abortedError(signal: AbortSignal, operation: string): PqError {
  return new PqError({
    code: 'PQ_ABORTED',
    operation,
    message: `${operation} was aborted`,
    cause: signal.reason,
  });
}

export function protocolError(operation: string, message: string, context?: PqErrorContext): PqError {
  return new PqError({ code: 'PQ_PROTOCOL', operation, message, ...(context ? { context } : {}) });
}

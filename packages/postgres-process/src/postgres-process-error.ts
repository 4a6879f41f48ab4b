/** What kind of failure it was. Stable: callers and scripts match on it. */
export type PostgresProcessErrorCode =
  | 'POSTGRES_PROCESS_NOT_FOUND'
  | 'POSTGRES_PROCESS_NO_USER'
  | 'POSTGRES_PROCESS_UNREACHABLE'
  | 'POSTGRES_PROCESS_OPTION'
  | 'POSTGRES_PROCESS_INITDB'
  | 'POSTGRES_PROCESS_NOT_A_CLUSTER'
  | 'POSTGRES_PROCESS_RUNNING'
  | 'POSTGRES_PROCESS_START'
  | 'POSTGRES_PROCESS_TIMEOUT'
  | 'POSTGRES_PROCESS_NOT_RUNNING'
  | 'POSTGRES_PROCESS_QUERY'
  | 'POSTGRES_PROCESS_NO_SPACE'
  | 'POSTGRES_PROCESS_UNSUPPORTED'
  | 'POSTGRES_PROCESS_RECOVERY'
  | 'POSTGRES_PROCESS_IO'
  | 'POSTGRES_PROCESS_ABORTED';

export interface PostgresProcessErrorOptions {
  readonly code: PostgresProcessErrorCode;
  /** What was being done: `find`, `initdb`, `start`, `recover`. */
  readonly operation: string;
  /** What, where, expected, found, and the next step. Never a password. */
  readonly message: string;
  readonly context?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly cause?: unknown;
}

/** The one error shape of this package. */
export class PostgresProcessError extends Error {
  override readonly name = 'PostgresProcessError';
  readonly code: PostgresProcessErrorCode;
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(options: PostgresProcessErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link PostgresProcessError}, also one of another installed copy of this package. */
export function isPostgresProcessError(
  error: unknown,
  code?: PostgresProcessErrorCode,
): error is PostgresProcessError {
  if (!(error instanceof Error) || error.name !== 'PostgresProcessError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** Throws `POSTGRES_PROCESS_ABORTED` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, operation: string): void {
  if (!signal?.aborted) return;
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_ABORTED',
    operation,
    message: `${operation} was interrupted`,
    cause: signal.reason,
  });
}

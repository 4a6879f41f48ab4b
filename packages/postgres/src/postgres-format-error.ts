/** What kind of failure it was. Stable: callers and scripts match on it. */
export type PostgresFormatErrorCode =
  /** Fewer bytes than the format needs. */
  | 'POSTGRES_TRUNCATED'
  /** A magic number, length, offset or text that the format does not allow. */
  | 'POSTGRES_INVALID'
  /** A version that this package does not know. */
  | 'POSTGRES_UNSUPPORTED_VERSION'
  /** A stored checksum differs from the computed one. */
  | 'POSTGRES_CHECKSUM'
  /** A value that the caller gave does not fit the format. */
  | 'POSTGRES_OUT_OF_RANGE'
  /** Valid WAL follows after an invalid record: damage, not the end of WAL. */
  | 'POSTGRES_WAL_CORRUPT'
  /** WAL ends before the position that was asked for. */
  | 'POSTGRES_WAL_INCOMPLETE';

export type PostgresFormatErrorContext = Readonly<Record<string, string | number | bigint | undefined>>;

export interface PostgresFormatErrorOptions {
  readonly code: PostgresFormatErrorCode;
  /** What was being done: `decode pg_control`, `parse backup_label`. */
  readonly operation: string;
  /** What, where, expected and found. */
  readonly message: string;
  readonly context?: PostgresFormatErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of every codec in this package. */
export class PostgresFormatError extends Error {
  override readonly name = 'PostgresFormatError';
  readonly code: PostgresFormatErrorCode;
  readonly operation: string;
  readonly context: PostgresFormatErrorContext;

  constructor(options: PostgresFormatErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link PostgresFormatError}, also one of another installed copy of this package. */
export function isPostgresFormatError(
  error: unknown,
  code?: PostgresFormatErrorCode,
): error is PostgresFormatError {
  if (!(error instanceof Error) || error.name !== 'PostgresFormatError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

export type ArchiveErrorCode =
  | 'ARCHIVE_TRUNCATED'
  | 'ARCHIVE_INVALID'
  | 'ARCHIVE_CHECKSUM'
  | 'ARCHIVE_UNSAFE_PATH'
  | 'ARCHIVE_DUPLICATE'
  | 'ARCHIVE_LIMIT'
  | 'ARCHIVE_UNSUPPORTED'
  | 'ARCHIVE_SIZE_MISMATCH'
  | 'ARCHIVE_ABORTED';

export interface ArchiveErrorOptions {
  readonly code: ArchiveErrorCode;
  /** What was being done: `read tar`, `decompress zstd`. */
  readonly operation: string;
  /** What, where, expected, found. */
  readonly message: string;
  readonly context?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly cause?: unknown;
}

/** The one error shape of this package. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
  readonly code: ArchiveErrorCode;
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(options: ArchiveErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for an {@link ArchiveError}, also one of another installed copy of this package. */
export function isArchiveError(error: unknown, code?: ArchiveErrorCode): error is ArchiveError {
  if (!(error instanceof Error) || error.name !== 'ArchiveError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** Throws `ARCHIVE_ABORTED` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, operation: string): void {
  if (!signal?.aborted) return;
  throw new ArchiveError({
    code: 'ARCHIVE_ABORTED',
    operation,
    message: `${operation} was interrupted`,
    cause: signal.reason,
  });
}

/** What kind of failure it was. Stable: callers and scripts match on it. */
export type StorageErrorCode =
  | 'STORAGE_NOT_FOUND'
  | 'STORAGE_BUCKET_NOT_FOUND'
  | 'STORAGE_ALREADY_EXISTS'
  | 'STORAGE_PRECONDITION_FAILED'
  | 'STORAGE_ACCESS_DENIED'
  | 'STORAGE_CREDENTIALS_MISSING'
  | 'STORAGE_INVALID_URL'
  | 'STORAGE_INVALID_KEY'
  | 'STORAGE_INVALID_OPTION'
  | 'STORAGE_UNSUPPORTED'
  | 'STORAGE_OUTSIDE_ROOT'
  | 'STORAGE_NO_SPACE'
  | 'STORAGE_TRUNCATED'
  | 'STORAGE_TOO_LARGE'
  | 'STORAGE_CHECKSUM_MISMATCH'
  | 'STORAGE_THROTTLED'
  | 'STORAGE_TIMEOUT'
  | 'STORAGE_UNAVAILABLE'
  | 'STORAGE_ABORTED'
  | 'STORAGE_IO';

export type StorageOperation =
  | 'open'
  | 'head'
  | 'get'
  | 'list'
  | 'put'
  | 'delete'
  | 'copy'
  | 'tree'
  | 'close';

/** A fact of the failure: never a secret. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | undefined>>;

export interface StorageErrorOptions {
  readonly code: StorageErrorCode;
  readonly operation: StorageOperation;
  /** One sentence: what, where, expected, found, and the next step. */
  readonly message: string;
  readonly key?: string | undefined;
  /** True when the same call may succeed later without any change by the caller. */
  readonly retryable?: boolean;
  readonly context?: ErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of every storage backend and decorator. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;
  readonly operation: StorageOperation;
  readonly key: string | undefined;
  readonly retryable: boolean;
  readonly context: ErrorContext;

  constructor(options: StorageErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.key = options.key;
    this.retryable = options.retryable ?? false;
    this.context = options.context ?? {};
  }
}

/** True for a {@link StorageError}, also one of another installed copy of this package. */
export function isStorageError(error: unknown, code?: StorageErrorCode): error is StorageError {
  if (!(error instanceof Error) || error.name !== 'StorageError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

export type RepositoryErrorCode =
  | 'REPOSITORY_NOT_FOUND'
  | 'REPOSITORY_EXISTS'
  | 'REPOSITORY_CONFIG_INVALID'
  | 'REPOSITORY_LOCKED'
  | 'REPOSITORY_IO'
  | 'REPOSITORY_LEASE_HELD'
  /** The newest index was written by something that knows of no lease. */
  | 'REPOSITORY_LEASE_FOREIGN'
  | 'REPOSITORY_LEASE_LOST'
  | 'REPOSITORY_LEASE_INVALID'
  | 'REPOSITORY_LEASE_UNSUPPORTED'
  | 'REPOSITORY_REF_NAME'
  | 'REPOSITORY_REF_EXISTS'
  | 'REPOSITORY_REF_NOT_FOUND'
  | 'REPOSITORY_REF_INVALID'
  | 'REPOSITORY_REF_UNSUPPORTED';

export interface RepositoryErrorOptions {
  readonly code: RepositoryErrorCode;
  /** What was being done: `open`, `init`, `read config`, `lock`. */
  readonly operation: string;
  /** What, where, expected, found, and the next step. */
  readonly message: string;
  readonly context?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly cause?: unknown;
}

/** The one error shape of this package. */
export class RepositoryError extends Error {
  override readonly name = 'RepositoryError';
  readonly code: RepositoryErrorCode;
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(options: RepositoryErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link RepositoryError}, also one of another installed copy of this package. */
export function isRepositoryError(error: unknown, code?: RepositoryErrorCode): error is RepositoryError {
  if (!(error instanceof Error) || error.name !== 'RepositoryError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** A failed file operation as `REPOSITORY_IO`; a {@link RepositoryError} stays what it is. */
export function ioError(
  error: unknown,
  options: { readonly operation: string; readonly path: string },
): RepositoryError {
  if (isRepositoryError(error)) return error;
  const { operation, path } = options;
  return new RepositoryError({
    code: 'REPOSITORY_IO',
    operation,
    message: `${operation} failed for ${path}: ${reasonOf(error)}`,
    context: { path },
    cause: error,
  });
}

/** Has the error of a file operation this `code`? */
export function hasErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'the file system is mounted read-only',
  ENOSPC: 'the file system is full',
  EDQUOT: "this user's quota is used up",
  ENOTDIR: 'a file stands where a directory would have to be',
  EISDIR: 'a directory stands where a file would have to be',
  ENOENT: 'it is not there',
  EMFILE: 'this process has too many files open',
};

/** In words, where there are any: the message of Node is for programmers. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

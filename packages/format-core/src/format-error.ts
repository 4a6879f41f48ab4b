export type FormatErrorCode =
  | 'FORMAT_NOT_FOUND'
  | 'FORMAT_INVALID'
  | 'FORMAT_TRUNCATED'
  | 'FORMAT_CHECKSUM'
  | 'FORMAT_CORRUPT_PAGE'
  /** The data carries a version number that this program does not know. */
  | 'FORMAT_UNKNOWN_VERSION'
  /** What is known and can't be done: a feature, a direction, a major that a format has no room for. */
  | 'FORMAT_UNSUPPORTED'
  | 'FORMAT_LOSS'
  | 'FORMAT_NOT_EMPTY'
  | 'FORMAT_RUNNING'
  | 'FORMAT_NOT_SHUT_DOWN'
  | 'FORMAT_NEEDS_REDO'
  | 'FORMAT_LSN_OUT_OF_RANGE'
  | 'FORMAT_TIME_OUT_OF_RANGE'
  | 'FORMAT_AMBIGUOUS'
  | 'FORMAT_NO_SPACE'
  | 'FORMAT_OPTION'
  /** The server that the snapshot is taken from refused, failed or went away. */
  | 'FORMAT_SERVER'
  | 'FORMAT_ABORTED';

export interface FormatErrorOptions {
  readonly code: FormatErrorCode;
  /** What was being done: `read pg_control`, `write layer`. */
  readonly operation: string;
  /** What, where, expected, found, and the next step. */
  readonly message: string;
  readonly context?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly cause?: unknown;
}

/** The one error shape of every snapshot format. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: FormatErrorCode;
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(options: FormatErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link FormatError}, also one of another installed copy of this package. */
export function isFormatError(error: unknown, code?: FormatErrorCode): error is FormatError {
  if (!(error instanceof Error) || error.name !== 'FormatError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

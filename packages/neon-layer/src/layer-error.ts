/** What kind of failure it was. Stable: callers and scripts match on it. */
export type NeonLayerErrorCode =
  /** An id, key, layer name, generation or object name does not parse. */
  | 'NEON_LAYER_INVALID_NAME'
  /** An argument of a writer breaks its contract (order, range, size): a bug of the caller. */
  | 'NEON_LAYER_INVALID_ARGUMENT'
  /** Bytes of a layer file contradict the format. */
  | 'NEON_LAYER_CORRUPT'
  /** A file or value ends before its announced end. */
  | 'NEON_LAYER_TRUNCATED'
  /** A format version that this package does not know. */
  | 'NEON_LAYER_UNKNOWN_VERSION'
  /** What is known and can't be read. */
  | 'NEON_LAYER_UNSUPPORTED'
  /** A layer file is not the one that its name promises. */
  | 'NEON_LAYER_MISMATCH'
  /** A length passes a named maximum; nothing was allocated. */
  | 'NEON_LAYER_TOO_LARGE'
  /** A directory, WAL record, aux file or other value does not decode. */
  | 'NEON_LAYER_INVALID_VALUE'
  /** An `index_part.json` does not decode. */
  | 'NEON_LAYER_INVALID_INDEX'
  /** A tenant manifest does not decode. */
  | 'NEON_LAYER_INVALID_MANIFEST'
  /** No such tenant, timeline, ancestor or index. */
  | 'NEON_LAYER_NOT_FOUND'
  /** The LSN lies outside of what the timeline can answer. */
  | 'NEON_LAYER_LSN_OUT_OF_RANGE'
  /** The newest state of a key is a WAL record and no redo was given. */
  | 'NEON_LAYER_NEEDS_REDO';

export type NeonLayerOperation = 'parse' | 'decode' | 'encode' | 'open' | 'read' | 'list' | 'build';

export type NeonLayerErrorContext = Readonly<Record<string, string | number | boolean | undefined>>;

export interface NeonLayerErrorOptions {
  readonly code: NeonLayerErrorCode;
  readonly operation: NeonLayerOperation;
  /** One sentence: what, where, expected, found, and the next step. */
  readonly message: string;
  readonly context?: NeonLayerErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of this package. Failures of the storage itself stay `StorageError`. */
export class NeonLayerError extends Error {
  override readonly name = 'NeonLayerError';
  readonly code: NeonLayerErrorCode;
  readonly operation: NeonLayerOperation;
  readonly context: NeonLayerErrorContext;

  constructor(options: NeonLayerErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link NeonLayerError}, also one of another installed copy of this package. */
export function isNeonLayerError(error: unknown, code?: NeonLayerErrorCode): error is NeonLayerError {
  if (!(error instanceof Error) || error.name !== 'NeonLayerError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

import type { RedoFaultCode } from './redo-fault.ts';

/** What kind of failure it was. Stable: callers and scripts match on it. */
export type RedoErrorCode =
  | RedoFaultCode
  /** The first record needs a page to work on and there is none. */
  | 'REDO_NO_BASE'
  /** A record that was given for a page does not refer to it. */
  | 'REDO_FOREIGN_RECORD'
  /** A setting or argument is not one that redo knows. */
  | 'REDO_OPTION'
  /** A message of the redo pipe is not one of its protocol. */
  | 'REDO_PROTOCOL';

export interface RedoErrorContext {
  readonly resourceManager?: number;
  readonly info?: number;
  /** End of the record, as Postgres prints it. */
  readonly lsn?: string;
  /** `spc/db/rel fork block`. */
  readonly block?: string;
}

export interface RedoErrorOptions {
  readonly code: RedoErrorCode;
  readonly operation: string;
  readonly message: string;
  readonly context?: RedoErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of this package. After it the page that was being worked on is in no defined state. */
export class RedoError extends Error {
  override readonly name = 'RedoError';
  readonly code: RedoErrorCode;
  readonly operation: string;
  readonly context: RedoErrorContext;

  constructor(options: RedoErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

/** True for a {@link RedoError}, also one of another installed copy of this package. */
export function isRedoError(error: unknown, code?: RedoErrorCode): error is RedoError {
  if (!(error instanceof Error) || error.name !== 'RedoError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

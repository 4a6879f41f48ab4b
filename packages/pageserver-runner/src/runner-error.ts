/** What kind of failure it was. Stable: callers and scripts match on it. */
export type RunnerErrorCode =
  | 'RUNNER_START_FAILED'
  | 'RUNNER_START_TIMEOUT'
  | 'RUNNER_NOT_RUNNING'
  | 'RUNNER_STATE_INVALID'
  | 'RUNNER_HTTP'
  | 'RUNNER_ENDPOINT_NOT_FOUND'
  | 'RUNNER_ENDPOINT_EXISTS'
  | 'RUNNER_ENDPOINT_NAME'
  | 'RUNNER_ENDPOINT_RUNNING'
  | 'RUNNER_PORT_IN_USE'
  | 'RUNNER_PSQL_NOT_FOUND'
  | 'RUNNER_ABORTED';

export type RunnerErrorContext = Readonly<Record<string, string | number | boolean | undefined>>;

export interface RunnerErrorOptions {
  readonly code: RunnerErrorCode;
  /** What was being done: `start page server`, `start endpoint`. */
  readonly operation: string;
  /** What, where, expected, found, and the next step. Never a password. */
  readonly message: string;
  readonly context?: RunnerErrorContext;
  readonly cause?: unknown;
}

/** The one error shape of this package. */
export class RunnerError extends Error {
  override readonly name = 'RunnerError';
  readonly code: RunnerErrorCode;
  readonly operation: string;
  readonly context: RunnerErrorContext;

  constructor(options: RunnerErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

export function isRunnerError(value: unknown, code?: RunnerErrorCode): value is RunnerError {
  return value instanceof RunnerError && (code === undefined || value.code === code);
}

/** The failure that a started process reported about itself, under its own code. */
export class ReportedFailure extends Error {
  override readonly name = 'ReportedFailure';
  readonly code: string;
  readonly operation: string;
  readonly context: RunnerErrorContext;

  constructor(report: {
    readonly code: string;
    readonly operation: string;
    readonly message: string;
    readonly context: RunnerErrorContext;
  }) {
    super(report.message);
    this.code = report.code;
    this.operation = report.operation;
    this.context = report.context;
  }
}

export function throwIfAborted(signal: AbortSignal | undefined, operation: string): void {
  if (!signal?.aborted) return;
  throw new RunnerError({
    code: 'RUNNER_ABORTED',
    operation,
    message: `${operation} was interrupted`,
    cause: signal.reason,
  });
}

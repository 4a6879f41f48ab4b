export type CliErrorCode =
  | 'CLI_USAGE'
  | 'CLI_INTERRUPTED'
  | 'CLI_DESTINATION_IN_USE'
  | 'CLI_DESTINATION_UNWRITABLE'
  | 'CLI_NO_DIRECTORY'
  | 'CLI_NO_REPOSITORY'
  | 'CLI_REPOSITORY_UNWRITABLE'
  | 'CLI_FORMAT_UNKNOWN'
  | 'CLI_PLUGIN_NOT_INSTALLED'
  | 'CLI_FORMAT_ONE_WAY'
  | 'CLI_NO_OBJECT'
  | 'CLI_UNKNOWN_FILE'
  | 'CLI_NOT_COMPARABLE'
  | 'CLI_OTHER_STORAGE_DEST'
  | 'CLI_BRANCH_NOT_FOUND'
  | 'CLI_LSN_COLLECTED'
  | 'CLI_CANNOT_FOLLOW'
  | 'CLI_RAW_WAL_AHEAD'
  | 'CLI_UNSUPPORTED';

/** A failure that the CLI itself found. The message says what, where, and the next step. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(
    code: CliErrorCode,
    operation: string,
    message: string,
    context: Readonly<Record<string, string | number | boolean | undefined>> = {},
  ) {
    super(message);
    this.code = code;
    this.operation = operation;
    this.context = context;
  }
}

/** A mistake in the words of the command line. */
export function usageError(message: string): CliError {
  return new CliError('CLI_USAGE', 'parse arguments', message);
}

export type PluginErrorCode =
  | 'PLUGIN_DUPLICATE'
  | 'PLUGIN_NOT_FOUND'
  | 'PLUGIN_NOT_INSTALLED'
  | 'PLUGIN_INVALID'
  | 'PLUGIN_LOAD_FAILED';

export interface PluginErrorOptions {
  readonly code: PluginErrorCode;
  readonly operation: 'register' | 'load';
  readonly message: string;
  readonly context?: Readonly<Record<string, string | undefined>>;
  readonly cause?: unknown;
}

/** What can go wrong between a name on the command line and a loaded package. */
export class PluginError extends Error {
  override readonly name = 'PluginError';
  readonly code: PluginErrorCode;
  readonly operation: 'register' | 'load';
  readonly context: Readonly<Record<string, string | undefined>>;

  constructor(options: PluginErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.operation = options.operation;
    this.context = options.context ?? {};
  }
}

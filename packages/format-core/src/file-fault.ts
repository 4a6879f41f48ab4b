import { isPostgresFormatError, type PostgresFormatErrorCode } from '@neon-snapshot/postgres';
import { FormatError, type FormatErrorCode } from './format-error.ts';

const CODE_OF: Readonly<Record<PostgresFormatErrorCode, FormatErrorCode>> = {
  POSTGRES_TRUNCATED: 'FORMAT_TRUNCATED',
  POSTGRES_INVALID: 'FORMAT_INVALID',
  POSTGRES_UNSUPPORTED_VERSION: 'FORMAT_UNKNOWN_VERSION',
  POSTGRES_CHECKSUM: 'FORMAT_CHECKSUM',
  POSTGRES_OUT_OF_RANGE: 'FORMAT_INVALID',
  POSTGRES_WAL_CORRUPT: 'FORMAT_CHECKSUM',
  POSTGRES_WAL_INCOMPLETE: 'FORMAT_TRUNCATED',
};

/** The fault of a codec as a `FormatError` that names the file; anything else as it is. */
export function fileFault(error: unknown, options: { readonly path: string; readonly url: string }): unknown {
  if (!isPostgresFormatError(error)) return error;
  return new FormatError({
    code: CODE_OF[error.code],
    operation: `read ${options.path}`,
    message: `${options.path} in ${options.url}: ${error.message}`,
    context: { path: options.path },
    cause: error,
  });
}

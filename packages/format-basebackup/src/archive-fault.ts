import { type ArchiveErrorCode, isArchiveError } from '@neon-snapshot/archive';
import { FormatError, type FormatErrorCode } from '@neon-snapshot/format-core';

const CODE_OF: Readonly<Record<ArchiveErrorCode, FormatErrorCode>> = {
  ARCHIVE_TRUNCATED: 'FORMAT_TRUNCATED',
  ARCHIVE_INVALID: 'FORMAT_INVALID',
  ARCHIVE_CHECKSUM: 'FORMAT_CHECKSUM',
  ARCHIVE_UNSAFE_PATH: 'FORMAT_INVALID',
  ARCHIVE_DUPLICATE: 'FORMAT_INVALID',
  ARCHIVE_LIMIT: 'FORMAT_INVALID',
  ARCHIVE_UNSUPPORTED: 'FORMAT_INVALID',
  ARCHIVE_SIZE_MISMATCH: 'FORMAT_TRUNCATED',
  ARCHIVE_ABORTED: 'FORMAT_ABORTED',
};

/** A fault of an archive as a `FormatError` that names the object; anything else as it is. */
export function archiveFault(
  error: unknown,
  { key, url }: { readonly key: string; readonly url: string },
): unknown {
  if (!isArchiveError(error)) return error;
  return new FormatError({
    code: CODE_OF[error.code],
    operation: `read ${key}`,
    message: `${key} in ${url}: ${error.message}`,
    context: { key },
    cause: error,
  });
}

import { FormatError } from './format-error.ts';

/** Longest entry path accepted, in UTF-8 bytes: Postgres' own MAXPGPATH (pg_config_manual.h). */
const ENTRY_PATH_LENGTH_MAX_BYTES = 1024;

/**
 * Refuses a path that could leave the data directory or that two systems would read differently: empty, absolute, with an
 * empty, `.` or `..` segment, a backslash, a control character or a lone surrogate, or longer than 1024 bytes.
 * `FORMAT_INVALID`.
 */
export function assertSafeEntryPath(path: string): void {
  const fault = faultOf(path);
  if (fault === undefined) return;
  throw new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'check entry path',
    message: `snapshot entry ${JSON.stringify(path.slice(0, 200))} ${fault}; the snapshot is damaged or hostile`,
    context: { path: path.slice(0, 200) },
  });
}

function faultOf(path: string): string | undefined {
  if (path === '') return 'has an empty path';
  if (!path.isWellFormed()) return 'is not valid Unicode';
  if (new TextEncoder().encode(path).length > ENTRY_PATH_LENGTH_MAX_BYTES) {
    return `is longer than ${ENTRY_PATH_LENGTH_MAX_BYTES} bytes`;
  }
  // Compared as code units: this runs for each of up to millions of entries.
  for (let index = 0; index < path.length; index++) {
    const unit = path.charCodeAt(index);
    if (unit < 0x20 || unit === 0x7f) return 'has a control character';
    if (unit === 0x5c) return 'has a backslash';
  }
  if (path.startsWith('/')) return 'is an absolute path';
  for (const segment of path.split('/')) {
    if (segment === '') return 'has an empty path segment';
    if (segment === '.' || segment === '..') return `has a "${segment}" segment`;
  }
  return undefined;
}

import { ArchiveError } from './archive-error.ts';

const PATH_LENGTH_MAX = 4096;

/**
 * The path of a member in one form: no `./` in front, no `/` at the end, nothing empty in between. Undefined for the root itself.
 * Throws `ARCHIVE_UNSAFE_PATH` for one that is absolute, climbs with `..`, holds a NUL or is not UTF-8.
 */
export function normaliseEntryPath(path: string, operation: string): string | undefined {
  const reason = unsafeReason(path);
  if (reason !== undefined)
    throw new ArchiveError({
      code: 'ARCHIVE_UNSAFE_PATH',
      operation,
      message: `${operation}: member ${JSON.stringify(path.slice(0, 200))} ${reason}`,
      context: { path: path.slice(0, 200) },
    });
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.length === 0 ? undefined : parts.join('/');
}

function unsafeReason(path: string): string | undefined {
  if (path === '') return 'has no name';
  if (path.length > PATH_LENGTH_MAX) return `has a name of more than ${PATH_LENGTH_MAX} characters`;
  if (path.startsWith('/')) return 'has an absolute name';
  if (path.includes('\0')) return 'has a NUL in its name';
  if (path.includes('\uFFFD')) return 'has a name that is not UTF-8';
  if (path.split('/').includes('..')) return 'would leave its directory by ".."';
  return undefined;
}

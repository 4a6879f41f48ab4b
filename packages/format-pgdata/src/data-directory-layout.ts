/** What a data directory is made of: names of initdb.c and of the exclusion lists of basebackup.c. */

export const PG_VERSION_PATH = 'PG_VERSION';
export const CONTROL_FILE_PATH = 'global/pg_control';
export const POSTMASTER_PID_PATH = 'postmaster.pid';
export const BACKUP_LABEL_PATH = 'backup_label';
export const MANIFEST_PATH = 'backup_manifest';
export const WAL_DIRECTORY = 'pg_wal';
export const TABLESPACE_DIRECTORY = 'pg_tblspc';

/** Mode of every directory and file that is written: Postgres refuses a data directory that others can read. */
export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;

/** Directories that are kept without what is in them. */
const EMPTIED_DIRECTORIES = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]);

export function isEmptiedDirectory(path: string): boolean {
  return EMPTIED_DIRECTORIES.has(path);
}

/** File names that are left out at any depth. */
const EXCLUDED_NAMES = new Set([
  'postgresql.auto.conf.tmp',
  'current_logfiles.tmp',
  BACKUP_LABEL_PATH,
  'tablespace_map',
  MANIFEST_PATH,
  POSTMASTER_PID_PATH,
  'postmaster.opts',
  '.DS_Store',
]);

/**
 * True for a file or directory that BASE_BACKUP leaves out by its path alone, and for `global/pg_control`, which no stream
 * carries as an entry. Unlogged relations, temporary relations and WAL have rules of their own.
 */
export function isExcludedPath(path: string): boolean {
  if (path === CONTROL_FILE_PATH) return true;
  const segments = path.split('/');
  const name = segments.at(-1) ?? '';
  if (EXCLUDED_NAMES.has(name) || name.startsWith('pg_internal.init')) return true;
  if (segments.length > 1 && EMPTIED_DIRECTORIES.has(segments[0] ?? '')) return true;
  return segments.some((segment) => segment.startsWith('pgsql_tmp'));
}

const DATABASE_DIRECTORY = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/\d+\//;

/** True for a path inside a database's directory: only there do unlogged and temporary relations live. */
export function isInDatabaseDirectory(path: string): boolean {
  return DATABASE_DIRECTORY.test(path);
}

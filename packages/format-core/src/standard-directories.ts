/** Of initdb.c. */
const DIRECTORIES = [
  'base',
  'global',
  'pg_commit_ts',
  'pg_dynshmem',
  'pg_logical',
  'pg_logical/mappings',
  'pg_logical/snapshots',
  'pg_multixact',
  'pg_multixact/members',
  'pg_multixact/offsets',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_tblspc',
  'pg_twophase',
  'pg_wal',
  'pg_wal/archive_status',
  'pg_xact',
];
const WAL_SUMMARIES_SINCE_MAJOR = 17;

/** Every directory that a start of that major needs, also where it is empty; parents come first. */
export function standardDirectories(major: number): readonly string[] {
  return major < WAL_SUMMARIES_SINCE_MAJOR ? DIRECTORIES : [...DIRECTORIES, 'pg_wal/summaries'];
}

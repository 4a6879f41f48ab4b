/**
 * What each file of the canonical stream becomes in a Neon timeline.
 *
 * Source: Neon's `import_datadir.rs`; what it ignores but a stock cluster needs (configuration, statistics, replication
 * origins) is kept as Neon keeps it elsewhere, or as our own objects beside the tenant.
 */
import {
  DEFAULT_TABLESPACE_OID,
  GLOBAL_TABLESPACE_OID,
  parseRelationPath,
  parseSlruPath,
  type RelTag,
  type SlruKind,
} from '@neon-snapshot/postgres';

export type ClusterFile =
  | { readonly kind: 'relation'; readonly tag: RelTag; readonly segno: number }
  | { readonly kind: 'relation-map'; readonly spcNode: number; readonly dbNode: number }
  | { readonly kind: 'slru'; readonly slru: SlruKind; readonly segno: number }
  | { readonly kind: 'two-phase'; readonly xid: bigint }
  /** Kept as a Neon aux file under its own path. */
  | { readonly kind: 'statistics' }
  | { readonly kind: 'replication-origins' }
  /** `.history` of the TimeLineID that `timeLineId` names: its ancestors are kept among our own facts. */
  | { readonly kind: 'timeline-history'; readonly timeLineId: number }
  /** Kept as our own object `cluster/<path>`. */
  | { readonly kind: 'configuration' }
  /** Made anew by an export, or by Postgres when it starts. */
  | { readonly kind: 'regenerated' }
  /** Dropped only after `allow_loss`. */
  | { readonly kind: 'unheld'; readonly what: UnheldKind };

export type UnheldKind = 'replication slots' | 'commit timestamps' | 'statistics' | 'other files';

/** Files that an administrator edits in the data directory itself. */
export const CONFIGURATION_FILES: readonly string[] = [
  'postgresql.conf',
  'postgresql.auto.conf',
  'pg_hba.conf',
  'pg_ident.conf',
];

export function classifyClusterFile(path: string): ClusterFile {
  const relation = parseRelationPath(path);
  if (relation !== undefined) return { kind: 'relation', tag: relation.tag, segno: relation.segno };
  const slru = parseSlruPath(path);
  if (slru !== undefined) return { kind: 'slru', slru: slru.kind, segno: slru.segno };
  return classifyByName(path);
}

function classifyByName(path: string): ClusterFile {
  if (path === 'global/pg_filenode.map') {
    return { kind: 'relation-map', spcNode: GLOBAL_TABLESPACE_OID, dbNode: 0 };
  }
  const map = /^base\/(\d+)\/pg_filenode\.map$/.exec(path);
  if (map?.[1] !== undefined) {
    return { kind: 'relation-map', spcNode: DEFAULT_TABLESPACE_OID, dbNode: Number(map[1]) };
  }
  const prepared = /^pg_twophase\/([0-9A-F]{8}|[0-9A-F]{16})$/.exec(path);
  if (prepared?.[1] !== undefined) return { kind: 'two-phase', xid: BigInt(`0x${prepared[1]}`) };
  if (CONFIGURATION_FILES.includes(path)) return { kind: 'configuration' };
  if (path === 'pg_logical/replorigin_checkpoint') return { kind: 'replication-origins' };
  if (path.startsWith('pg_stat/')) return { kind: 'statistics' };
  const history = /^pg_wal\/([0-9A-F]{8})\.history$/.exec(path);
  if (history?.[1] !== undefined) {
    return { kind: 'timeline-history', timeLineId: Number.parseInt(history[1], 16) };
  }
  return classifyRest(path);
}

/** What a server was told to be at its start, and what it put aside then: a backup of a standby, or of what was restored, has them. */
const OF_A_START = /^(standby\.signal|recovery\.signal|backup_label\.old|tablespace_map\.old)$/;

/** Directories whose files Postgres makes anew at a start after a clean shutdown, and logs. */
const REGENERATED_DIRECTORIES = [
  'pg_wal/',
  'pg_dynshmem/',
  'pg_notify/',
  'pg_serial/',
  'pg_snapshots/',
  'pg_stat_tmp/',
  'pg_subtrans/',
  'log/',
  'pg_log/',
];
const REGENERATED_NAMES =
  /(^|\/)(PG_VERSION|pg_internal\.init[^/]*|t\d+_\d+[^/]*|pgsql_tmp[^/]*)$|^(postmaster\.(opts|pid)|current_logfiles|backup_manifest|global\/pg_control)$/;

function classifyRest(path: string): ClusterFile {
  if (REGENERATED_DIRECTORIES.some((directory) => path.startsWith(directory))) return { kind: 'regenerated' };
  if (REGENERATED_NAMES.test(path) || path.includes('/pgsql_tmp/')) return { kind: 'regenerated' };
  if (OF_A_START.test(path)) return { kind: 'regenerated' };
  if (path.startsWith('pg_replslot/') || path.startsWith('pg_logical/')) {
    return { kind: 'unheld', what: 'replication slots' };
  }
  if (path.startsWith('pg_commit_ts/')) return { kind: 'unheld', what: 'commit timestamps' };
  return { kind: 'unheld', what: 'other files' };
}

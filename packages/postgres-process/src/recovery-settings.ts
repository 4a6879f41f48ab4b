import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlFile } from '@neon-snapshot/postgres';
import type { ServerSettings } from './server-settings.ts';

const WAL_LEVELS = ['minimal', 'replica', 'logical'] as const;
/** Room for origins of subscriptions, whose number is in no header. */
const ORIGIN_COUNT = 64;

/**
 * Settings for a server that only replays WAL: those that pg_control records are kept as they were, since Postgres would log
 * and store any change; everything that reaches out of the directory is off.
 */
export async function recoverySettings(
  dataDirectory: string,
  options: { readonly control: ControlFile; readonly major: number },
): Promise<ServerSettings> {
  const { control } = options;
  const slots = await readdir(join(dataDirectory, 'pg_replslot')).catch(() => []);
  const tablespaces = await readdir(join(dataDirectory, 'pg_tblspc'), { withFileTypes: true }).catch(
    () => [],
  );
  const hasInPlaceTablespaces = tablespaces.some((entry) => entry.isDirectory());
  return {
    wal_level: WAL_LEVELS[control.walLevel] ?? 'replica',
    wal_log_hints: control.walLogHints,
    max_connections: control.maxConnections,
    max_worker_processes: control.maxWorkerProcesses,
    max_wal_senders: control.maxWalSenders,
    max_prepared_transactions: control.maxPreparedXacts,
    max_locks_per_transaction: control.maxLocksPerXact,
    track_commit_timestamp: control.trackCommitTimestamp,
    max_replication_slots: Math.max(ORIGIN_COUNT, slots.length),
    // Without it recovery stops at a tablespace that lies in place.
    ...(hasInPlaceTablespaces ? { allow_in_place_tablespaces: true } : {}),
    ...(options.major >= 18 ? { max_active_replication_origins: ORIGIN_COUNT } : {}),
    archive_mode: false,
    archive_command: '',
    restore_command: '',
    primary_conninfo: '',
    synchronous_standby_names: '',
    shared_preload_libraries: '',
    session_preload_libraries: '',
    local_preload_libraries: '',
    max_logical_replication_workers: 0,
    // Off, Postgres 15 and newer would report readiness when recovery begins, not when it ends.
    hot_standby: true,
    autovacuum: false,
    ssl: false,
    // A scratch copy that a power loss ruins is made again.
    fsync: false,
  };
}

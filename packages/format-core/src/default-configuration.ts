import type { ControlFile } from '@neon-snapshot/postgres';

/** A configuration file and its text. */
export interface ConfigurationFile {
  readonly path: string;
  readonly text: string;
}

const WAL_LEVELS = ['minimal', 'replica', 'logical'];

/**
 * The files without which Postgres does not start, for a snapshot that has none (Debian keeps them elsewhere, page servers not
 * at all): settings no lower than the cluster ran with, and access by `peer` and `scram-sha-256` only.
 */
export function defaultConfiguration(controlFile: ControlFile): readonly ConfigurationFile[] {
  const settings = [
    `max_connections = ${controlFile.maxConnections}`,
    `max_worker_processes = ${controlFile.maxWorkerProcesses}`,
    `max_wal_senders = ${controlFile.maxWalSenders}`,
    `max_prepared_transactions = ${controlFile.maxPreparedXacts}`,
    `max_locks_per_transaction = ${controlFile.maxLocksPerXact}`,
    `wal_level = ${WAL_LEVELS[controlFile.walLevel] ?? 'replica'}`,
    `wal_log_hints = ${controlFile.walLogHints ? 'on' : 'off'}`,
    `track_commit_timestamp = ${controlFile.trackCommitTimestamp ? 'on' : 'off'}`,
  ];
  const note = '# Written by neon: the snapshot had no such file.';
  return [
    { path: 'postgresql.conf', text: lines(note, ...settings) },
    {
      path: 'pg_hba.conf',
      text: lines(
        note,
        'local all all peer',
        'host all all 127.0.0.1/32 scram-sha-256',
        'host all all ::1/128 scram-sha-256',
        'local replication all peer',
        'host replication all 127.0.0.1/32 scram-sha-256',
        'host replication all ::1/128 scram-sha-256',
      ),
    },
    { path: 'pg_ident.conf', text: lines(note) },
  ];
}

function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}

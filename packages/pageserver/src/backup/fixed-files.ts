/** Members of a backup that no timeline holds. */
import type { TarMember } from '@neon-snapshot/archive';

const SUMMARIES_SINCE_MAJOR = 17;
/** Up to here `PG_VERSION` ends without a newline, as Neon's page server writes it. */
const BARE_VERSION_MAJOR_MAX = 15;

const DIRECTORIES = [
  'pg_commit_ts',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_subtrans',
  'pg_twophase',
  'pg_multixact',
  'pg_multixact/members',
  'pg_multixact/offsets',
  'base',
  'pg_replslot',
  'pg_tblspc',
  'pg_stat',
  'pg_stat_tmp',
  'pg_xact',
  'pg_logical',
  'pg_logical/snapshots',
  'pg_logical/mappings',
];

/** Neon's computes connect to themselves over loopback without a password, behind their own rules. */
const COMPUTE_HBA = [
  'local all all trust',
  'host all all 127.0.0.1/32 trust',
  'host all all ::1/128 trust',
  'local replication all trust',
  'host replication all 127.0.0.1/32 trust',
  'host replication all ::1/128 trust',
  '',
].join('\n');

const STOCK_HBA = [
  'local all all peer',
  'host all all 127.0.0.1/32 scram-sha-256',
  'host all all ::1/128 scram-sha-256',
  '',
].join('\n');

/** Directories and configuration that Postgres expects. `target`: who is to start on them. */
export function fixedMembers(major: number, target: 'compute' | 'stock'): BackupMember[] {
  return [
    directory('global'),
    directory('pg_wal/archive_status'),
    ...(major >= SUMMARIES_SINCE_MAJOR ? [directory('pg_wal/summaries')] : []),
    ...DIRECTORIES.map(directory),
    textFile('pg_hba.conf', target === 'compute' ? COMPUTE_HBA : STOCK_HBA),
    textFile('pg_ident.conf', ''),
    textFile('postgresql.auto.conf', ''),
    // A compute brings its own; stock Postgres starts with none missing only.
    ...(target === 'stock' ? [textFile('postgresql.conf', '')] : []),
  ];
}

export function versionText(major: number): string {
  return major <= BARE_VERSION_MAJOR_MAX ? String(major) : `${major}\n`;
}

/** A member without times and modes, which are the same for all. */
export type BackupMember = Pick<TarMember, 'kind' | 'path' | 'sizeBytes' | 'body'>;

export function directory(path: string): BackupMember {
  return { kind: 'directory', path };
}

export function file(path: string, bytes: Uint8Array): BackupMember {
  return { kind: 'file', path, sizeBytes: bytes.length, body: [bytes] };
}

export function textFile(path: string, text: string): BackupMember {
  return file(path, new TextEncoder().encode(text));
}

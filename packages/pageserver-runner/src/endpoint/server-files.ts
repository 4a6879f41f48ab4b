/** Configuration of an endpoint: files of ours around those of the cluster, and what stands on the command line. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControlFile, decodeControlFile } from '@neon-snapshot/postgres';
import type { ServerSettings } from '@neon-snapshot/postgres-process';
import { REPLICATION_SLOT } from './connection-string.ts';
import type { EndpointPaths } from './endpoint-paths.ts';

/** `WAL_LEVEL_LOGICAL` of access/xlog.h, as in pg_control. */
const WAL_LEVEL_LOGICAL = 2;
const WAL_SENDERS_MIN = 10;
const REPLICATION_SLOTS = 10;

/** Passwords for everybody and everywhere; nothing is reachable from other machines anyway. */
const HBA = [
  '# Written by neon at every start.',
  'local all all scram-sha-256',
  'local replication all scram-sha-256',
  'host all all 127.0.0.1/32 scram-sha-256',
  'host replication all 127.0.0.1/32 scram-sha-256',
  '',
].join('\n');

/** Writes `postgresql.conf` and `pg_hba.conf` beside the data directory; none of them holds a secret. */
export async function writeServerFiles(paths: EndpointPaths, postgresMajor: number): Promise<void> {
  const control = await readControlFile(paths.dataDirectory);
  const own = join(paths.dataDirectory, 'postgresql.conf');
  const text = [
    '# Written by neon at every start; settings of your own belong into the file that is included here, or ALTER SYSTEM.',
    `include_if_exists = ${quoted(own)}`,
    '',
    ...Object.entries(imposedSettings(control, postgresMajor)).map(
      ([name, value]) => `${name} = ${quoted(value)}`,
    ),
    '',
  ].join('\n');
  await writeFile(paths.configFile, text, { mode: 0o644 });
  await writeFile(paths.hbaFile, HBA, { mode: 0o644 });
}

/** What a cluster may bring along that would be wrong here: it may come from another machine, whose archive must stay as it is. */
function imposedSettings(control: ControlFile, postgresMajor: number): Record<string, string> {
  return {
    wal_level: control.walLevel === WAL_LEVEL_LOGICAL ? 'logical' : 'replica',
    max_wal_senders: String(Math.max(control.maxWalSenders, WAL_SENDERS_MIN)),
    max_replication_slots: String(REPLICATION_SLOTS),
    max_prepared_transactions: String(control.maxPreparedXacts),
    archive_mode: 'off',
    archive_command: '',
    ...(postgresMajor >= 15 ? { archive_library: '' } : {}),
    restore_command: '',
    primary_conninfo: '',
    primary_slot_name: '',
    ssl: 'off',
    password_encryption: 'scram-sha-256',
  };
}

/** Settings that nothing in the cluster may change: how it is reached, and what `--durability` promises. */
export function commandLineSettings(
  paths: EndpointPaths,
  place: {
    readonly port: number;
    readonly socketDirectory: string;
    readonly durability: 'local' | 'remote';
  },
): ServerSettings {
  return {
    config_file: paths.configFile,
    hba_file: paths.hbaFile,
    listen_addresses: '127.0.0.1',
    port: place.port,
    unix_socket_directories: place.socketDirectory,
    unix_socket_permissions: '0700',
    // An empty name would be tried too.
    external_pid_file: join(place.socketDirectory, 'postgres.pid'),
    logging_collector: false,
    log_destination: 'stderr',
    synchronous_standby_names: place.durability === 'remote' ? REPLICATION_SLOT : '',
    ...(place.durability === 'remote' ? { synchronous_commit: 'on' } : {}),
  };
}

async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  return decodeControlFile(await readFile(join(dataDirectory, 'global', 'pg_control')));
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

import { appendFile, chmod, cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLUSTER_STATE, decodeControlFile, formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { type PostgresInstallation, startPostgres } from '@neon-snapshot/postgres-process';
import { giveToServer } from './directory.ts';

export interface RecoverToOptions {
  /** A base backup with its `backup_label` and its WAL. */
  readonly dataDirectory: string;
  readonly installation: PostgresInstallation;
  /** Where later WAL is. */
  readonly walDirectory?: string;
  /** A record ends there; default: where the backup is consistent. */
  readonly lsn?: Lsn;
}

/**
 * Has stock Postgres replay a base backup to an LSN and no further, and shuts it down. Nobody looks into it meanwhile: a session would
 * set hint bits.
 */
export async function recoverTo(options: RecoverToOptions): Promise<void> {
  const { dataDirectory, installation, walDirectory, lsn } = options;
  const archive = path.join(dataDirectory, 'archived_wal');
  if (walDirectory !== undefined) await cp(walDirectory, archive, { recursive: true });
  const target =
    lsn === undefined
      ? "recovery_target = 'immediate'"
      : // Of a record that begins there nothing is replayed any more.
        `recovery_target_lsn = '${formatLsn(lsn)}'\nrecovery_target_inclusive = off`;
  const settings = [
    target,
    "recovery_target_action = 'promote'",
    "recovery_target_timeline = 'current'",
    `restore_command = '${walDirectory === undefined ? 'false' : `cp ${archive}/%f %p`}'`,
    'autovacuum = off',
    'max_prepared_transactions = 20',
    'hot_standby = off',
  ];
  await appendFile(path.join(dataDirectory, 'postgresql.auto.conf'), `${settings.join('\n')}\n`);
  await writeFile(path.join(dataDirectory, 'recovery.signal'), '');
  await giveToServer(dataDirectory);
  await chmod(dataDirectory, 0o700);
  await using server = await startPostgres({ installation, dataDirectory, readyTimeoutMs: 120_000 });
  for (let attempt = 0; (await stateOf(dataDirectory)) !== CLUSTER_STATE.inProduction; attempt += 1) {
    if (attempt > 1200)
      throw new Error(`${dataDirectory} did not get to the end of its recovery in a minute`);
    await sleep(50);
  }
  await server.stop('fast');
}

async function stateOf(dataDirectory: string): Promise<number> {
  return decodeControlFile(await readFile(path.join(dataDirectory, 'global', 'pg_control'))).state;
}

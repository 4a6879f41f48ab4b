import { spawnSync } from 'node:child_process';
import { appendFile, chown, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { copyTree, type PostgresInstallation, unprivilegedUser } from '@neon-snapshot/postgres-process';

const SETTINGS = [
  'hot_standby=off',
  'max_prepared_transactions=20',
  'fsync=off',
  'listen_addresses=',
  'shared_buffers=64MB',
  'restart_after_crash=off',
];

export interface StockRecovery {
  readonly installation: PostgresInstallation;
  /** A stopped cluster from before the WAL. Copied. */
  readonly base: string;
  /** Segments of WAL. */
  readonly walDirectory: string;
  /** `0/1E1D368`: the record that starts there, and those behind it, are not applied. */
  readonly lsn: string;
  readonly target: string;
}

/** Lets stock Postgres recover a copy of a cluster to an LSN and shut down there, before any session touches a page. */
export async function recoverWithStock(recovery: StockRecovery): Promise<void> {
  const { installation, base, walDirectory, lsn, target } = recovery;
  await copyTree({ source: base, target });
  await writeFile(path.join(target, 'recovery.signal'), '');
  const lines = [
    `restore_command = 'cp "${walDirectory}/%f" "%p"'`,
    `recovery_target_lsn = '${lsn}'`,
    'recovery_target_inclusive = off',
    "recovery_target_action = 'shutdown'",
  ];
  await appendFile(path.join(target, 'postgresql.auto.conf'), `${lines.join('\n')}\n`);
  const user = unprivilegedUser();
  if (user !== undefined) {
    await chown(target, user.uid, user.gid);
    for (const name of await readdir(target, { recursive: true }))
      await chown(path.join(target, name), user.uid, user.gid);
  }
  const settings = [...SETTINGS, `unix_socket_directories=${target}`];
  const words = ['-D', target, ...settings.flatMap((setting) => ['-c', setting])];
  const result = spawnSync(path.join(installation.binDirectory, 'postgres'), words, {
    encoding: 'utf8',
    cwd: target,
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  if (!result.stderr.includes('recovery stopping before'))
    throw new Error(`stock Postgres did not recover to ${lsn}: ${result.stderr}`);
}

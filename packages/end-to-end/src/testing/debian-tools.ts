import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '@neon-snapshot/postgres-process';
import { runBaseBackupFrom } from './postgres-tools.ts';

const run = promisify(execFile);
const BIN = '/usr/lib/postgresql/15/bin';

/** Debian's full Postgres 15; CI installs it (scripts/servers/install.sh). */
export const hasDebianTools = existsSync(path.join(BIN, 'pg_verifybackup')) || process.env.CI === 'true';

/** `pg_verifybackup` 15: in full on 15; on 14 and 16 without parsing WAL, which needs the server's own major. */
export async function verifyBackup(dataDirectory: string, major: number): Promise<string> {
  const { stdout } = await run(path.join(BIN, 'pg_verifybackup'), [
    ...(major === 15 ? [] : ['-n']),
    dataDirectory,
  ]);
  return stdout.trim();
}

/** `pg_checksums --check` 15, which reads the control files of 14 to 16. */
export async function checkChecksums(dataDirectory: string): Promise<string> {
  const { stdout } = await run(path.join(BIN, 'pg_checksums'), ['--check', '-D', dataDirectory]);
  return /Bad checksums:\s+(\d+)/.exec(stdout)?.[1] ?? stdout;
}

/** Runs `pg_basebackup -Ft` of Postgres 15, which takes servers up to 15, into a directory of the server's account. */
export function runBaseBackup(
  server: PostgresServer,
  target: string,
  options: readonly string[],
): Promise<void> {
  return runBaseBackupFrom(BIN, { server, target, options });
}

/** Unpacks plain tars of a backup with GNU tar, as the documentation of pg_basebackup says. */
export async function unpackBackup(backup: string, target: string): Promise<void> {
  await mkdir(target, { mode: 0o700 });
  await run('tar', ['-xf', path.join(backup, 'base.tar'), '-C', target]);
  await run('tar', ['-xf', path.join(backup, 'pg_wal.tar'), '-C', path.join(target, 'pg_wal')]);
  await run('cp', [path.join(backup, 'backup_manifest'), target]);
}

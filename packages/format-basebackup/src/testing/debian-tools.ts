import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '@neon-snapshot/postgres-process';
import { unprivilegedUser } from '@neon-snapshot/postgres-process';

const run = promisify(execFile);
const BIN = '/usr/lib/postgresql/15/bin';

/** Debian's full Postgres 15; CI installs it. */
export const hasDebianTools = existsSync(join(BIN, 'pg_basebackup')) || process.env.CI === 'true';

/** Runs `pg_basebackup -Ft` of Postgres 15, which takes servers up to 15. */
export async function runBaseBackup(
  server: PostgresServer,
  target: string,
  options: readonly string[] = [],
): Promise<void> {
  const place = ['-h', server.socketDirectory, '-p', `${server.port}`, '-U', server.superuser];
  const args = [...place, '-D', target, '-Ft', '--checkpoint=fast', '--no-sync', ...options];
  const user = unprivilegedUser();
  await run(join(BIN, 'pg_basebackup'), args, user === undefined ? {} : { uid: user.uid, gid: user.gid });
}

/** `pg_verifybackup` 15 of an unpacked backup: in full for 15, without reading WAL for other majors. */
export async function verifyBackup(
  directory: string,
  { major }: { readonly major: number },
): Promise<string> {
  const { stdout } = await run(join(BIN, 'pg_verifybackup'), [...(major === 15 ? [] : ['-n']), directory]);
  return stdout.trim();
}

/** Unpacks the tars of a backup with GNU tar, as its documentation says. */
export async function unpackBackup(backup: string, target: string, extension: string): Promise<void> {
  await mkdir(target, { mode: 0o700 });
  await run('tar', ['-xf', join(backup, `base.tar${extension}`), '-C', target]);
  await run('tar', ['-xf', join(backup, `pg_wal.tar${extension}`), '-C', join(target, 'pg_wal')]);
  await run('cp', [join(backup, 'backup_manifest'), target]);
}

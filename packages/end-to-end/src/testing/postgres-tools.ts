import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type PostgresServer, unprivilegedUser } from '@neon-snapshot/postgres-process';

const run = promisify(execFile);

/** Where scripts/servers/postgres-tools.sh puts the programs of 16, 17 and 18, from a registry that need not be there; CI tries it. */
function binOf(major: number): string {
  return path.join(process.env.TMPDIR ?? tmpdir(), 'neon-postgres-tools', `${major}`, 'bin');
}

export function hasTools(major: number): boolean {
  return existsSync(path.join(binOf(major), 'pg_verifybackup'));
}

/** `pg_basebackup -Ft` of the server's own major, into a directory of the server's account. */
export function runBaseBackupOf(
  server: PostgresServer,
  target: string,
  options: readonly string[],
): Promise<void> {
  return runBaseBackupFrom(binOf(server.installation.major), { server, target, options });
}

/** The same, of the programs in `bin`. */
export async function runBaseBackupFrom(
  bin: string,
  of: { readonly server: PostgresServer; readonly target: string; readonly options: readonly string[] },
): Promise<void> {
  const { server, target, options } = of;
  const place = ['-h', server.socketDirectory, '-p', `${server.port}`, '-U', server.superuser];
  const args = [...place, '-D', target, '-Ft', '--checkpoint=fast', '--no-sync', ...options];
  const user = unprivilegedUser();
  const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  await run(path.join(bin, 'pg_basebackup'), args, identity);
}

/** `pg_verifybackup` of the major, with what it says to all being well. WAL in tars is for nobody to parse. */
export async function verifyBackupOf(major: number, place: string): Promise<string> {
  const isTar = !existsSync(path.join(place, 'PG_VERSION'));
  const { stdout } = await run(path.join(binOf(major), 'pg_verifybackup'), [...(isTar ? ['-n'] : []), place]);
  return stdout.trim();
}

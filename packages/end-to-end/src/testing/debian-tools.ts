import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

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

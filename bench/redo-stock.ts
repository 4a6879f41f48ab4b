import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, linkSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type BenchUser, BIN } from './cluster.ts';
import type { RedoWal } from './redo-wal.ts';

export interface StockReplay {
  /** Of recovery alone, by the server's own log line. */
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}

const SETTINGS = [
  'fsync=off',
  'wal_recycle=off',
  'autovacuum=off',
  'shared_buffers=1GB',
  'log_min_messages=log',
  'recovery_prefetch=try',
];
const LOG_LINE =
  /redo done at \S+ system usage: CPU: user: ([\d.]+) s, system: ([\d.]+) s, elapsed: ([\d.]+) s/;

/** Stock Postgres recovers a copy of the base with the WAL, its buffers as large as the data. */
export function replayWithStock(
  work: RedoWal,
  place: { readonly directory: string; readonly user: BenchUser | undefined },
): StockReplay {
  const directory = path.join(place.directory, 'stock');
  rmSync(directory, { recursive: true, force: true });
  cpSync(work.base, directory, { recursive: true });
  placeWal(work.wal, path.join(directory, 'pg_wal'));
  chmodSync(directory, 0o700);
  if (place.user !== undefined) {
    execFileSync('chown', ['-R', `${place.user.uid}:${place.user.gid}`, directory]);
  }
  const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
  const args = ['--single', '-D', directory, ...settings, 'postgres'];
  const options = { input: '', encoding: 'utf8', cwd: directory, ...place.user } as const;
  const { stderr } = spawnSync(path.join(BIN, 'postgres'), args, options);
  rmSync(directory, { recursive: true, force: true });
  const times = LOG_LINE.exec(stderr);
  if (times === null) throw new Error(`stock Postgres did not replay the WAL: ${stderr}`);
  const [user, system, elapsed] = times.slice(1).map(Number);
  return { wallSeconds: elapsed ?? 0, cpuSeconds: (user ?? 0) + (system ?? 0) };
}

/** Links, since the server removes names only; a copy of the last segment, which it writes to. */
function placeWal(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(path.join(to, 'archive_status'), { recursive: true });
  const names = readdirSync(from)
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .sort();
  for (const name of names) {
    if (name === names.at(-1)) cpSync(path.join(from, name), path.join(to, name));
    else linkSync(path.join(from, name), path.join(to, name));
  }
}

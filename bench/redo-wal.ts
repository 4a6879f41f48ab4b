import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BenchUser, BIN } from './cluster.ts';

export interface RedoWal {
  /** The cluster as it was before the work, ended without a shutdown, so that a server recovers it from the WAL. */
  readonly base: string;
  /** Directory with all WAL since then. */
  readonly wal: string;
}

type Place = { readonly directory: string; readonly user: BenchUser | undefined };

const SCALE = 10;
const TRANSACTIONS_PER_CLIENT = 100_000;

const SETTINGS =
  '-c listen_addresses= -c max_wal_size=20GB -c wal_keep_size=10GB -c wal_recycle=off -c checkpoint_timeout=1d -c fsync=off -c synchronous_commit=off -c autovacuum=off -c shared_buffers=512MB';

/** Columns of many kinds below all the usual indexes; small enough that most of its WAL is not page images. */
const TABLES = `CREATE TABLE mixed (id int PRIMARY KEY, a text, b text, t timestamptz, r float8, j jsonb, n int);
CREATE INDEX ON mixed (a); CREATE INDEX ON mixed (n); CREATE INDEX ON mixed USING gin (j); CREATE INDEX ON mixed USING brin (t); CREATE INDEX ON mixed USING hash (n);`;

const MIXED_WORK = [
  `INSERT INTO mixed SELECT g, md5(g::text), repeat(chr(97 + g % 26), g % 90), now(), g * 0.5, jsonb_build_object('k', g % 1000), g % 5000 FROM generate_series(1, 120000) g`,
  `UPDATE mixed SET b = b || 'x' WHERE id % 3 = 0`,
  `UPDATE mixed SET n = n + 1 WHERE id % 7 = 0`,
  `DELETE FROM mixed WHERE id % 5 = 0`,
  'VACUUM mixed',
  `INSERT INTO mixed SELECT g, md5(g::text), repeat(chr(97 + g % 26), g % 60), now(), g * 0.5, jsonb_build_object('k', g % 1000), g % 5000 FROM generate_series(200001, 260000) g`,
  'VACUUM FREEZE mixed',
];

/** Makes the base and the WAL of pgbench and of mixed work after it; an existing one is used again. */
export function makeRedoWal(place: Place): RedoWal {
  const base = path.join(place.directory, 'base');
  const data = path.join(place.directory, 'data');
  const wal = path.join(data, 'pg_wal');
  const done = path.join(place.directory, 'redo.done');
  if (existsSync(done)) return { base, wal };
  mkdirSync(place.directory, { recursive: true });
  run(place, 'initdb', ['-D', data, '-U', 'postgres', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync']);
  whileRunning(place, data, () => {
    run(place, 'pgbench', [...connection(place), '-i', '-q', '-s', String(SCALE), 'postgres']);
    sql(place, TABLES);
    sql(place, 'VACUUM FREEZE');
    sql(place, 'CHECKPOINT');
    return 'immediate';
  });
  cpSync(data, base, { recursive: true, preserveTimestamps: true });
  whileRunning(place, data, () => {
    const count = String(TRANSACTIONS_PER_CLIENT);
    run(place, 'pgbench', [...connection(place), '-n', '-c', '2', '-M', 'prepared', '-t', count, 'postgres']);
    for (const statement of MIXED_WORK) sql(place, statement);
    return 'fast';
  });
  writeFileSync(done, '');
  return { base, wal };
}

/** `work` says how to stop the server. */
function whileRunning(place: Place, data: string, work: () => 'fast' | 'immediate'): void {
  const log = path.join(place.directory, 'server.log');
  const settings = `${SETTINGS} -c unix_socket_directories=${place.directory}`;
  run(place, 'pg_ctl', ['-D', data, '-w', '-l', log, '-o', settings, 'start']);
  let mode: 'fast' | 'immediate' = 'fast';
  try {
    mode = work();
  } finally {
    run(place, 'pg_ctl', ['-D', data, '-w', '-m', mode, 'stop']);
  }
}

function connection(place: Place): string[] {
  return ['-h', place.directory, '-U', 'postgres'];
}

function sql(place: Place, text: string): void {
  run(place, 'psql', [...connection(place), '-v', 'ON_ERROR_STOP=1', '-q', '-d', 'postgres', '-c', text]);
}

function run(place: Place, name: string, args: readonly string[]): void {
  const options = { cwd: place.directory, ...place.user };
  execFileSync(path.join(BIN, name), [...args], { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
}

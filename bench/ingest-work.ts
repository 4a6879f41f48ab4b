import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { BIN, connection, makeCluster, sql, startServer, stopServer } from './cluster.ts';
import { measure } from './measure.ts';
import type { BenchOptions } from './run.ts';
import { neon, own } from './tools.ts';

export interface IngestWork {
  readonly directory: string;
  /** The cluster before the work, cleanly stopped. */
  readonly base: string;
  /** Its import. */
  readonly bucket: string;
  /** All WAL since then. */
  readonly wal: string;
}

const SCALE = 10;
const MIXED_ROWS = 50_000;
const TRANSACTIONS_PER_CLIENT = 40_000;
const SETTINGS =
  '-c max_wal_size=20GB -c wal_keep_size=10GB -c wal_recycle=off -c checkpoint_timeout=1d -c autovacuum=off -c synchronous_commit=off';

const MIXED_WORK = [
  'CREATE TABLE later AS SELECT * FROM mixed',
  'CREATE INDEX ON later (id)',
  "UPDATE later SET b = b || 'x' WHERE id % 3 = 0",
  'DELETE FROM later WHERE id % 5 = 0',
  'VACUUM later',
];

/** Makes a cluster, imports it, and lets pgbench and mixed work go on with it; what exists is used again. */
export async function makeIngestWork(options: BenchOptions): Promise<IngestWork> {
  const directory = path.join(options.directory, 'ingest');
  const [base, bucket] = [path.join(directory, 'base'), path.join(directory, 'bucket')];
  const data = path.join(directory, 'pgdata');
  const work = { directory, base, bucket, wal: path.join(data, 'pg_wal') };
  const done = path.join(directory, 'work.done');
  if (existsSync(done)) return work;
  mkdirSync(directory, { recursive: true });
  own(options, directory);
  const cluster = { directory, user: options.user };
  makeCluster({ ...cluster, scale: SCALE, mixedRows: MIXED_ROWS });
  cpSync(data, base, { recursive: true, preserveTimestamps: true });
  const from = [`--snapshot_path=${data}`, '--snapshot_format=pgdata', `--storage_dest=${bucket}`];
  await measure(neon(options, ['init', '-D', 'ingest', ...from]));
  startServer(cluster, data, SETTINGS);
  try {
    const load = ['-n', '-c', '2', '-M', 'prepared', '-t', String(TRANSACTIONS_PER_CLIENT), 'bench'];
    execFileSync(path.join(BIN, 'pgbench'), [...connection(cluster), ...load], {
      ...options.user,
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for (const statement of MIXED_WORK) sql(cluster, statement);
  } finally {
    stopServer(cluster, data);
  }
  writeFileSync(done, '');
  return work;
}

export interface StockIngest {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}

/** 10 minutes. */
const REPLAY_POLLS_MAX = 3000;
const LOG_LINE =
  /redo done at \S+ system usage: CPU: user: ([\d.]+) s, system: ([\d.]+) s, elapsed: ([\d.]+) s/;

/** Stock Postgres replays the WAL over a copy of the base, by its own log. */
export function replayOverBase(options: BenchOptions, work: IngestWork): StockIngest {
  const data = path.join(work.directory, 'stock');
  rmSync(data, { recursive: true, force: true });
  cpSync(work.base, data, { recursive: true });
  rmSync(path.join(data, 'pg_wal'), { recursive: true });
  mkdirSync(path.join(data, 'pg_wal/archive_status'), { recursive: true });
  for (const name of readdirSync(work.wal).filter((each) => /^[0-9A-F]{24}$/.test(each))) {
    linkSync(path.join(work.wal, name), path.join(data, 'pg_wal', name));
  }
  writeFileSync(path.join(data, 'recovery.signal'), '');
  chmodSync(data, 0o700);
  const { user } = options;
  if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, data]);
  const cluster = { directory: work.directory, user };
  const log = path.join(work.directory, 'server.log');
  rmSync(log, { force: true });
  const settings =
    '-c restore_command=false -c hot_standby=off -c shared_buffers=1GB -c autovacuum=off -c wal_recycle=off';
  startServer(cluster, data, settings);
  let times: RegExpExecArray | null = null;
  for (let left = REPLAY_POLLS_MAX; times === null && left > 0; left--) {
    execFileSync('sleep', ['0.2']);
    times = LOG_LINE.exec(readFileSync(log, 'utf8'));
  }
  stopServer(cluster, data);
  rmSync(data, { recursive: true, force: true });
  if (times === null) throw new Error(`stock Postgres did not replay the WAL; see ${log}`);
  const [userSeconds, system, elapsed] = times.slice(1).map(Number);
  return { wallSeconds: elapsed ?? 0, cpuSeconds: (userSeconds ?? 0) + (system ?? 0) };
}

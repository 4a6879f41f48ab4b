import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { BIN, connection, startServer, stopServer } from './cluster.ts';
import { pageLatencies, type RelationPages } from './page-latency.ts';
import type { BenchOptions } from './run.ts';
import { neonIn, type Place, peakBytes, type Server, start, treeBytes } from './server-place.ts';
import { own } from './tools.ts';

/** About 1 GB: see `--only starts`, which makes it first. */
const MIDDLE_SCALE = 45;
const PGBENCH_SECONDS = 20;
/** What pg_receivewal calls itself, for Postgres to wait for it. */
const RECEIVER = 'bench_receiver';
const CLIENTS = 4;

/** Load on an endpoint with push on, and pages over the wire. Goes on with what `--only starts` made. */
export async function runServer(options: BenchOptions): Promise<string> {
  const place = { options, directory: path.join(options.directory, `server-${MIDDLE_SCALE}`) };
  const loads = measureLoad(place);
  const server = start(place, 'local');
  try {
    const pages = await pageLatencies({ ...server, tag: largestRelation(server) });
    return [loadTable(loads), pages].join('\n\n');
  } finally {
    neonIn(place, ['stop']);
  }
}

interface Load {
  readonly name: string;
  readonly tps: number;
  readonly note: string;
}

function measureLoad(place: Place): Load[] {
  const { options, directory } = place;
  const loads: Load[] = [];
  const alone = path.join(options.directory, 'alone');
  rmSync(alone, { recursive: true, force: true });
  mkdirSync(alone);
  execFileSync('cp', ['-a', path.join(options.directory, `cluster-${MIDDLE_SCALE}/pgdata`), alone]);
  own(options, alone);
  const server = { directory: alone, user: options.user };
  const data = path.join(alone, 'pgdata');
  // As an endpoint has it: fsync on, and Postgres' own max_wal_size.
  startServer(server, data, '', 'on');
  try {
    loads.push({ name: 'the same Postgres alone', tps: pgbench([...connection(server), 'bench']), note: '' });
    const received = withReceiver(place, alone, []);
    loads.push({ name: 'with pg_receivewal', tps: received, note: 'asynchronous' });
  } finally {
    stopServer(server, data);
  }
  startServer(server, data, `-c synchronous_standby_names=${RECEIVER}`, 'on');
  try {
    const received = withReceiver(place, alone, ['--synchronous']);
    loads.push({ name: 'with pg_receivewal --synchronous', tps: received, note: 'a commit waits for it' });
  } finally {
    stopServer(server, data);
  }
  for (const durability of ['local', 'remote'] as const) {
    const before = treeBytes(path.join(directory, 'bucket'));
    const { connectionString, pageServerPid } = start(place, durability);
    const tps = pgbench([connectionString.replace('/postgres?', '/bench?')]);
    const peak = (peakBytes(pageServerPid) / 1024 / 1024).toFixed(0);
    neonIn(place, ['stop']);
    const stored = ((treeBytes(path.join(directory, 'bucket')) - before) / 1e6).toFixed(0);
    const note = `page server at most ${peak} MiB, ${stored} MB more stored`;
    loads.push({ name: `endpoint, push on, --durability=${durability}`, tps, note });
  }
  return loads;
}

/** tps while pg_receivewal takes the WAL of the cluster in a directory. */
function withReceiver({ options }: Place, directory: string, words: readonly string[]): number {
  const place = { directory };
  const connected = ['-d', `host=${directory} user=postgres application_name=${RECEIVER}`];
  const args = [...connected, '-D', directory, '--no-loop', ...words];
  const receiver = spawn(path.join(BIN, 'pg_receivewal'), args, { stdio: 'ignore', ...options.user });
  try {
    return pgbench([...connection(place), 'bench']);
  } finally {
    receiver.kill();
  }
}

function pgbench(target: readonly string[]): number {
  const words = ['-n', '-c', String(CLIENTS), '-j', '2', '-T', String(PGBENCH_SECONDS), ...target];
  const printed = execFileSync(path.join(BIN, 'pgbench'), words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const tps = /tps = ([\d.]+)/.exec(printed)?.[1];
  if (tps === undefined) throw new Error(`pgbench printed no tps:\n${printed}`);
  return Number(tps);
}

/** The table with most pages: its tag and how many it has. */
function largestRelation({ connectionString }: Server): RelationPages {
  const query =
    "select (select oid from pg_database where datname = 'bench'), pg_relation_filenode(oid), relpages from pg_class where relkind = 'r' order by relpages desc limit 1";
  const url = connectionString.replace('/postgres?', '/bench?');
  const printed = execFileSync(path.join(BIN, 'psql'), ['-XAtq', '-c', query, url], { encoding: 'utf8' });
  const [dbNode = 0, relNode = 0, blocks = 0] = printed.trim().split('|').map(Number);
  return { dbNode, relNode, blocks };
}

function loadTable(loads: readonly Load[]): string {
  const reference = loads[0]?.tps ?? 1;
  return [
    `### pgbench, ${CLIENTS} clients, ${PGBENCH_SECONDS} s, 1.1 GB, fsync on`,
    '',
    '| what | tps | of Postgres alone | |',
    '| --- | ---: | ---: | --- |',
    ...loads.map(
      ({ name, tps, note }) => `| ${name} | ${tps.toFixed(0)} | ${(tps / reference).toFixed(2)} | ${note} |`,
    ),
  ].join('\n');
}

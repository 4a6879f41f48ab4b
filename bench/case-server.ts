import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, connection, makeCluster, startServer, stopServer } from './cluster.ts';
import { pageLatencies, type RelationPages } from './page-latency.ts';
import type { BenchOptions } from './run.ts';
import { neon, own } from './tools.ts';

/** pgbench scales of about 0.1 and 1 GB; 8 GB where `--scale` says so. */
const SMALL_SCALE = 3;
const MIDDLE_SCALE = 45;
const LARGE_SCALE_MIN = 300;
const PGBENCH_SECONDS = 20;
const CLIENTS = 4;
const HTTP_PORT = 19_898;
const POLL_MS = 5;

interface Server {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly pageServerPid: number;
  readonly pagesPort: number;
  readonly connectionString: string;
}

/** The page server and its endpoint: restarts by size, load with push on, pages over the wire. */
export async function runServer(options: BenchOptions): Promise<string> {
  const scales = [SMALL_SCALE, MIDDLE_SCALE, ...(options.scale >= LARGE_SCALE_MIN ? [options.scale] : [])];
  const restarts: Restart[] = [];
  for (const scale of scales) restarts.push(await measureRestart(options, scale));
  const place = { options, directory: path.join(options.directory, `server-${MIDDLE_SCALE}`) };
  const loads = measureLoad(place);
  const server = start(place, 'local');
  try {
    const pages = await pageLatencies({ ...server, tag: largestRelation(server) });
    return [restartTable(restarts), loadTable(loads), pages].join('\n\n');
  } finally {
    neonIn(place, ['stop']);
  }
}

/** A repository of the benchmark. */
interface Place {
  readonly options: BenchOptions;
  readonly directory: string;
}

interface Restart {
  readonly megabytes: number;
  readonly readySeconds: number;
  readonly builtSeconds: number;
  readonly reusedSeconds: number;
  readonly rssBytes: number;
}

async function measureRestart(options: BenchOptions, scale: number): Promise<Restart> {
  const cluster = path.join(options.directory, `cluster-${scale}`);
  mkdirSync(cluster, { recursive: true });
  own(options, cluster);
  const data = makeCluster({ directory: cluster, user: options.user, scale, mixedRows: scale * 20_000 });
  const place = { options, directory: path.join(options.directory, `server-${scale}`) };
  rmSync(place.directory, { recursive: true, force: true });
  mkdirSync(place.directory, { recursive: true });
  own(options, place.directory);
  neonIn(place, ['init', `--snapshot_path=${data}`, `--storage_dest=${place.directory}/bucket`]);
  start(place, 'local');
  const ready: number[] = [];
  const reused: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    neonIn(place, ['stop']);
    const { readySeconds, startedSeconds } = await startWatched(place);
    ready.push(readySeconds);
    reused.push(startedSeconds);
  }
  neonIn(place, ['stop']);
  rmSync(path.join(place.directory, '.neon/endpoints'), { recursive: true, force: true });
  const { startedSeconds } = await startWatched(place);
  const rssBytes = peakBytes(serverOf(place).pageServerPid);
  neonIn(place, ['stop']);
  return {
    megabytes: treeBytes(path.join(data, 'base')) / 1e6,
    readySeconds: median(ready),
    builtSeconds: startedSeconds,
    reusedSeconds: median(reused),
    rssBytes,
  };
}

/** Starts; seconds from the command line to the page server's first answer, and to the endpoint's readiness. */
async function startWatched(
  place: Place,
): Promise<{ readonly readySeconds: number; readonly startedSeconds: number }> {
  const { command, args, user } = neon(place.options, [
    'start',
    '-D',
    place.directory,
    `--http_port=${HTTP_PORT}`,
  ]);
  const started = performance.now();
  const child = spawn(command, [...args], { stdio: 'ignore', ...user });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  let readySeconds = 0;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${HTTP_PORT}/healthz`).catch(() => undefined);
    if (answer?.ok === true) {
      readySeconds = (performance.now() - started) / 1000;
      break;
    }
    if (child.exitCode !== null)
      throw new Error(`neon start in ${place.directory} ended with ${child.exitCode}`);
    await sleep(POLL_MS);
  }
  if ((await ended) !== 0) throw new Error(`neon start in ${place.directory} failed`);
  return { readySeconds, startedSeconds: (performance.now() - started) / 1000 };
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
  startServer(server, path.join(alone, 'pgdata'), '-c max_wal_size=4GB -c fsync=on');
  try {
    loads.push({ name: 'the same Postgres alone', tps: pgbench([...connection(server), 'bench']), note: '' });
    const words = [...connection(server), '-D', alone, '--no-loop'];
    const receiver = spawn(path.join(BIN, 'pg_receivewal'), words, { stdio: 'ignore', ...options.user });
    loads.push({
      name: 'with pg_receivewal',
      tps: pgbench([...connection(server), 'bench']),
      note: 'asynchronous',
    });
    receiver.kill();
  } finally {
    stopServer(server, path.join(alone, 'pgdata'));
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

function start(place: Place, durability: 'local' | 'remote'): Server {
  neonIn(place, ['start', `--durability=${durability}`]);
  return serverOf(place);
}

function serverOf(place: Place): Server {
  const status = JSON.parse(neonIn(place, ['status', '--json'])) as {
    readonly tenantId: string;
    readonly pageserver: { readonly pid: number; readonly pgPort: number };
    readonly endpoints: readonly { readonly connectionString: string; readonly timelineId: string }[];
  };
  const [endpoint] = status.endpoints;
  if (endpoint === undefined) throw new Error(`${place.directory} has no endpoint`);
  return {
    tenantId: status.tenantId,
    timelineId: endpoint.timelineId,
    pageServerPid: status.pageserver.pid,
    pagesPort: status.pageserver.pgPort,
    connectionString: endpoint.connectionString,
  };
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

function neonIn({ options, directory }: Place, words: readonly string[]): string {
  const { command, args, user } = neon(options, [...words, '-D', directory]);
  return execFileSync(command, [...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 2 ** 26,
    ...user,
  });
}

function peakBytes(pid: number): number {
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(peak ?? 0) * 1024;
}

function treeBytes(directory: string): number {
  if (!existsSync(directory)) return 0;
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += statSync(path.join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
}

function restartTable(restarts: readonly Restart[]): string {
  return [
    '### Starts by size',
    '',
    '| cluster MB | page server ready s | `neon start`, data directory reused s | `neon start`, data directory built s | page server peak MiB |',
    '| ---: | ---: | ---: | ---: | ---: |',
    ...restarts.map(({ megabytes, readySeconds, reusedSeconds, builtSeconds, rssBytes }) => {
      const cells = [
        megabytes.toFixed(0),
        readySeconds.toFixed(2),
        reusedSeconds.toFixed(2),
        builtSeconds.toFixed(2),
      ];
      return `| ${[...cells, (rssBytes / 1024 / 1024).toFixed(0)].join(' | ')} |`;
    }),
  ].join('\n');
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

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, makeCluster } from './cluster.ts';
import type { BenchOptions } from './run.ts';
import { neonIn, type Place, peakBytes, serverOf, start, treeBytes } from './server-place.ts';
import { mixedRowsAt, neon, own } from './tools.ts';

const HTTP_PORT = 19_898;
const POLL_MS = 5;
const BEFORE_BRANCH_SECONDS = 3;

export interface Restart {
  readonly megabytes: number;
  readonly readySeconds: number;
  readonly builtSeconds: number;
  readonly reusedSeconds: number;
  readonly rssBytes: number;
  /** From `branch create` at an earlier LSN until the Postgres of the branch's own endpoint is ready. Absent where it was not asked for. */
  readonly branchSeconds?: number;
}

export interface RestartOptions extends BenchOptions {
  /** Costs a second copy of the cluster on the disk. */
  readonly withBranch: boolean;
}

/** Starts of a page server and its endpoint on a cluster of a scale of pgbench, and of an endpoint of a branch beside it. */
export async function measureRestart(options: RestartOptions): Promise<Restart> {
  const { scale } = options;
  const cluster = path.join(options.directory, `cluster-${scale}`);
  mkdirSync(cluster, { recursive: true });
  own(options, cluster);
  const data = makeCluster({
    directory: cluster,
    user: options.user,
    scale,
    mixedRows: mixedRowsAt(options),
  });
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
  const branched = options.withBranch ? { branchSeconds: measureBranch(place) } : {};
  neonIn(place, ['stop']);
  rmSync(path.join(place.directory, '.neon/endpoints'), { recursive: true, force: true });
  return {
    megabytes: treeBytes(path.join(data, 'base')) / 1e6,
    readySeconds: median(ready),
    builtSeconds: startedSeconds,
    reusedSeconds: median(reused),
    rssBytes,
    ...branched,
  };
}

/** The parent is written to in between, and goes on. */
function measureBranch(place: Place): number {
  const url = serverOf(place).connectionString.replace('/postgres?', '/bench?');
  const psql = ['-XAtq', '-c', 'SELECT pg_current_wal_insert_lsn()', url];
  const lsn = execFileSync(path.join(BIN, 'psql'), psql, { encoding: 'utf8' }).trim();
  execFileSync(path.join(BIN, 'pgbench'), ['-n', '-c', '2', '-T', String(BEFORE_BRANCH_SECONDS), url], {
    stdio: 'ignore',
  });
  const startedAt = performance.now();
  neonIn(place, ['branch', 'create', 'earlier', `--lsn=${lsn}`]);
  neonIn(place, ['endpoint', 'create', 'earlier', '--branch=earlier']);
  neonIn(place, ['endpoint', 'start', 'earlier']);
  return (performance.now() - startedAt) / 1000;
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

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
}

export function restartTable(restarts: readonly Restart[]): string {
  return [
    '### Starts by size',
    '',
    '| cluster MB | page server ready s | `neon start`, data directory reused s | `neon start`, data directory built s | page server peak MiB | branch at an earlier LSN to its endpoint ready s |',
    '| ---: | ---: | ---: | ---: | ---: | ---: |',
    ...restarts.map(({ megabytes, readySeconds, reusedSeconds, builtSeconds, rssBytes, branchSeconds }) => {
      const cells = [
        megabytes.toFixed(0),
        readySeconds.toFixed(2),
        reusedSeconds.toFixed(2),
        builtSeconds.toFixed(2),
        (rssBytes / 1024 / 1024).toFixed(0),
        branchSeconds?.toFixed(2) ?? '',
      ];
      return `| ${cells.join(' | ')} |`;
    }),
  ].join('\n');
}

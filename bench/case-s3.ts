import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Command, type Measurement, measure, medianOf } from './measure.ts';
import { formatRows } from './report.ts';
import type { BenchOptions } from './run.ts';
import { benchCluster, neon, own, removeAll, settle } from './tools.ts';

const DIRECTIONS = ['import', 'export'] as const;

/** Both directions against an S3 server (the repository's own, which costs CPU time of the same machine), with its requests. */
export async function runS3(options: BenchOptions): Promise<string> {
  const { data, bytes } = benchCluster(options);
  const place = path.join(options.directory, 's3');
  removeAll(options, 's3');
  for (const name of ['', 'bodies']) {
    mkdirSync(path.join(place, name));
    own(options, path.join(place, name));
  }
  const server = fork(path.join(import.meta.dirname, 's3-server.ts'), [path.join(place, 'bodies')], {
    ...options.user,
  });
  try {
    const [endpoint] = await once(server, 'message');
    const times = { import: [] as Measurement[], export: [] as Measurement[] };
    const requests = { import: '', export: '' };
    for (let round = 0; round < options.rounds; round++) {
      for (const direction of DIRECTIONS) {
        settle();
        times[direction].push(await measure(commandOf(options, { direction, round, data, endpoint })));
        requests[direction] = await countsOf(server);
      }
    }
    return formatRows(
      `S3, ${(bytes / 1e6).toFixed(0)} MB`,
      bytes,
      DIRECTIONS.map((direction) => ({
        name: `neon ${direction === 'import' ? 'init' : 'export'}`,
        median: medianOf(times[direction]),
        note: requests[direction],
      })),
    );
  } finally {
    server.disconnect();
    removeAll(options, 's3');
  }
}

function commandOf(
  options: BenchOptions,
  run: {
    readonly direction: (typeof DIRECTIONS)[number];
    readonly round: number;
    readonly data: string;
    readonly endpoint: string;
  },
): Command {
  const url = `s3://bench/${run.round}?endpoint=${encodeURIComponent(run.endpoint)}&region=us-east-1`;
  const args =
    run.direction === 'import'
      ? ['init', '-D', `s3/repository-${run.round}`, `--snapshot_path=${run.data}`]
      : ['export', `--snapshot_path=s3/restored-${run.round}`];
  const command = neon(options, [...args, '--snapshot_format=pgdata', `--storage_dest=${url}`]);
  const keys = { AWS_ACCESS_KEY_ID: 'TESTKEY', AWS_SECRET_ACCESS_KEY: 'TESTSECRET' };
  return { ...command, env: { ...command.env, ...keys } };
}

/** Requests since the last call, by kind. */
async function countsOf(server: ChildProcess): Promise<string> {
  server.send('count');
  const [counts] = await once(server, 'message');
  return Object.entries(counts as Record<string, number>)
    .map(([operation, count]) => `${count} ${operation}`)
    .join(', ');
}

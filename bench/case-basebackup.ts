import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { BIN, connection, startServer, stopServer } from './cluster.ts';
import { type Command, type Measurement, measure, medianOf } from './measure.ts';
import { formatRows } from './report.ts';
import type { BenchOptions } from './run.ts';
import { benchCluster, diskUsage, neon, own, removeAll, settle } from './tools.ts';

const DIRECTORY = 'basebackup';

/** Tars of a cluster, stopped and running, and back: against `tar` and `zstd`, and against pg_basebackup. Everything at zstd level 1. */
export async function runBaseBackup(options: BenchOptions): Promise<string> {
  const { data, cluster } = benchCluster(options);
  const bytes = diskUsage(data);
  removeAll(options, DIRECTORY);
  mkdirSync(path.join(options.directory, DIRECTORY));
  own(options, path.join(options.directory, DIRECTORY));
  const at = (name: string) => path.join(options.directory, DIRECTORY, name);
  const copy = (from: string, to: string, format: string) =>
    neon(options, ['snapshot', 'copy', `--from=${from}`, `--to=${at(to)}`, `--to_format=${format}`]);
  const shell = (script: string): Command => ({
    command: 'bash',
    args: ['-o', 'pipefail', '-c', script],
    user: options.user,
    cwd: options.directory,
  });
  const pgBaseBackup = (to: string): Command => ({
    command: path.join(BIN, 'pg_basebackup'),
    args: [...connection(cluster), '-D', at(to), '-Ft', '-Z', 'client-zstd:1', '--checkpoint=fast'],
    user: options.user,
    cwd: options.directory,
  });
  const stopped = await rounds(options, {
    neon: (round) => copy(data, `neon-${round}`, 'basebackup'),
    tar: (round) => shell(`tar -C ${data} -c . | zstd -1 -q > ${at(`tar-${round}.zst`)}`),
    synced: (round) =>
      shell(
        `tar -C ${data} -c . | zstd -1 -q > ${at(`synced-${round}.zst`)}; sync ${at(`synced-${round}.zst`)}`,
      ),
  });
  const back = await rounds(options, {
    neon: (round) => copy(at(`neon-${round}`), `out-neon-${round}`, 'pgdata'),
    tar: (round) => {
      mkdirSync(at(`out-tar-${round}`));
      own(options, at(`out-tar-${round}`));
      return shell(`zstd -dc ${at(`tar-${round}.zst`)} | tar -C ${at(`out-tar-${round}`)} -x`);
    },
    synced: (round) => {
      const target = at(`out-synced-${round}`);
      mkdirSync(target);
      own(options, target);
      return shell(`zstd -dc ${at(`tar-${round}.zst`)} | tar -C ${target} -x; sync -f ${target}`);
    },
  });
  startServer(cluster, data);
  try {
    const server = `host=${cluster.directory} user=postgres`;
    const live = await rounds(options, {
      neon: (round) => copy(server, `live-neon-${round}`, 'basebackup'),
      pgBaseBackup: (round) => pgBaseBackup(`live-pg-${round}`),
    });
    return [
      formatRows(`A stopped cluster to tar.zst, ${(bytes / 1e6).toFixed(0)} MB`, bytes, [
        {
          name: 'neon snapshot copy',
          median: stopped.neon,
          note: 'page checksums verified, manifest made, synced',
        },
        { name: 'tar, zstd -1', median: stopped.tar, note: 'not synced' },
        { name: 'tar, zstd -1, sync', median: stopped.synced },
        {
          name: 'pg_basebackup -Ft -Z client-zstd:1',
          median: live.pgBaseBackup,
          note: 'of the running server, whose CPU is not counted',
        },
      ]),
      formatRows('A running server to tar.zst', bytes, [
        { name: 'neon snapshot copy', median: live.neon, note: "without the server's CPU" },
        {
          name: 'pg_basebackup -Ft -Z client-zstd:1',
          median: live.pgBaseBackup,
          note: "without the server's CPU",
        },
      ]),
      formatRows('tar.zst to a data directory', bytes, [
        { name: 'neon snapshot copy', median: back.neon, note: 'manifest checked and made, synced' },
        { name: 'zstd -d, tar x', median: back.tar, note: 'not synced' },
        { name: 'zstd -d, tar x, sync', median: back.synced },
      ]),
    ].join('\n\n');
  } finally {
    stopServer(cluster, data);
    removeAll(options, DIRECTORY);
  }
}

/** Each command in turn, round by round, so that all meet the same machine. */
async function rounds<Name extends string>(
  options: BenchOptions,
  commands: Readonly<Record<Name, (round: number) => Command>>,
): Promise<Record<Name, Measurement>> {
  const names = Object.keys(commands) as Name[];
  const results = new Map<Name, Measurement[]>(names.map((name) => [name, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const name of names) {
      settle();
      results.get(name)?.push(await measure(commands[name](round)));
    }
  }
  const medians = names.map((name) => [name, medianOf(results.get(name) ?? [])] as const);
  return Object.fromEntries(medians) as Record<Name, Measurement>;
}

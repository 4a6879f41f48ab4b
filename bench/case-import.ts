import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { BIN, connection, startServer, stopServer, trimWal } from './cluster.ts';
import { type Measurement, measure, medianOf } from './measure.ts';
import { formatRows } from './report.ts';
import type { BenchOptions } from './run.ts';
import { benchCluster, diskUsage, neon, own, pgbackrest, removeAll, settle } from './tools.ts';

/** A stopped cluster into Neon layers, against pgBackRest's and pg_basebackup's backup of the same one. */
export async function runImport(options: BenchOptions): Promise<string> {
  const { data, bytes, cluster } = benchCluster(options);
  const results = {
    neon: [] as Measurement[],
    pgbackrest: [] as Measurement[],
    basebackup: [] as Measurement[],
  };
  const stored = { neon: 0, pgbackrest: 0, basebackup: 0 };
  const out = path.join(options.directory, 'basebackup');
  trimWal(cluster, data);
  for (let round = 0; round < options.rounds; round++) {
    removeAll(options, 'import', 'pgbackrest', 'basebackup');
    settle();
    mkdirSync(path.join(options.directory, 'import'));
    own(options, path.join(options.directory, 'import'));
    const init = [
      'init',
      '-D',
      'import',
      `--snapshot_path=${data}`,
      '--snapshot_format=pgdata',
      `--storage_dest=${options.directory}/import/bucket`,
    ];
    results.neon.push(await measure(neon(options, init)));
    stored.neon = diskUsage(path.join(options.directory, 'import/bucket'));
    settle();
    await measure(pgbackrest(options, data, ['--no-online', 'stanza-create']));
    results.pgbackrest.push(
      await measure(pgbackrest(options, data, ['--no-online', '--type=full', 'backup'])),
    );
    stored.pgbackrest = diskUsage(path.join(options.directory, 'pgbackrest/repo'));
    settle();
    startServer(cluster, data);
    try {
      const args = [
        ...connection(cluster),
        '-D',
        out,
        '-Ft',
        '-Z',
        'client-zstd:1',
        '-X',
        'none',
        '-c',
        'fast',
        '--no-sync',
      ];
      results.basebackup.push(
        await measure({
          command: path.join(BIN, 'pg_basebackup'),
          args,
          user: options.user,
          cwd: options.directory,
        }),
      );
      stored.basebackup = diskUsage(out);
    } finally {
      stopServer(cluster, data);
    }
  }
  rmSync(out, { recursive: true, force: true });
  execFileSync('sync');
  const note = (size: number) => `${(size / 1e6).toFixed(0)} MB stored`;
  return formatRows(`Import of a stopped cluster, ${(bytes / 1e6).toFixed(0)} MB`, bytes, [
    { name: 'neon init (Neon layers, zstd)', median: medianOf(results.neon), note: note(stored.neon) },
    {
      name: 'pgbackrest --no-online backup (zst:1, 2 processes)',
      median: medianOf(results.pgbackrest),
      note: note(stored.pgbackrest),
    },
    {
      name: 'pg_basebackup -Ft -Z client-zstd:1',
      median: medianOf(results.basebackup),
      note: note(stored.basebackup),
    },
  ]);
}

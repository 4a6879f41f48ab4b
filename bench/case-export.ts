import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Measurement, measure, medianOf } from './measure.ts';
import { formatRows } from './report.ts';
import type { BenchOptions } from './run.ts';
import { benchCluster, neon, own, pgbackrest, removeAll, settle } from './tools.ts';

// What was restored stays until the end: see case-small-files.ts about files where others were just removed.

/** Neon layers into a data directory, against pgBackRest's restore of the same cluster and a plain copy of it. */
export async function runExport(options: BenchOptions): Promise<string> {
  const { data, bytes } = benchCluster(options);
  removeAll(options, 'import', 'pgbackrest', 'restored');
  mkdirSync(path.join(options.directory, 'restored'));
  own(options, path.join(options.directory, 'restored'));
  mkdirSync(path.join(options.directory, 'import'));
  own(options, path.join(options.directory, 'import'));
  const bucket = path.join(options.directory, 'import/bucket');
  await measure(
    neon(options, [
      'init',
      '-D',
      'import',
      `--snapshot_path=${data}`,
      '--snapshot_format=pgdata',
      `--storage_dest=${bucket}`,
    ]),
  );
  await measure(pgbackrest(options, data, ['--no-online', 'stanza-create']));
  await measure(pgbackrest(options, data, ['--no-online', '--type=full', 'backup']));
  const results = { neon: [] as Measurement[], pgbackrest: [] as Measurement[], copy: [] as Measurement[] };
  for (let round = 0; round < options.rounds; round++) {
    settle();
    results.neon.push(
      await measure(
        neon(options, [
          'export',
          `--storage_dest=${bucket}`,
          `--snapshot_path=restored/neon-${round}`,
          '--snapshot_format=pgdata',
        ]),
      ),
    );
    settle();
    const target = path.join(options.directory, `restored/pgbackrest-${round}`);
    mkdirSync(target, { mode: 0o700 });
    own(options, target);
    results.pgbackrest.push(
      await measure(pgbackrest(options, data, ['restore', `--pg1-path=${target}`, '--type=none'])),
    );
    settle();
    results.copy.push(
      await measure({
        command: 'cp',
        args: ['-a', data, `restored/copy-${round}`],
        user: options.user,
        cwd: options.directory,
      }),
    );
  }
  removeAll(options, 'restored');
  return formatRows(`Export to a data directory, ${(bytes / 1e6).toFixed(0)} MB`, bytes, [
    {
      name: 'neon export',
      median: medianOf(results.neon),
      note: 'synced, page checksums computed, manifest made',
    },
    { name: 'pgbackrest restore (2 processes)', median: medianOf(results.pgbackrest), note: 'synced' },
    { name: 'cp -a', median: medianOf(results.copy), note: 'not synced' },
  ]);
}

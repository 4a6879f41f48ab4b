import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { makeCluster } from './cluster.ts';
import { type Measurement, measure, medianOf } from './measure.ts';
import type { BenchOptions } from './run.ts';
import { benchCluster, diskUsage, neon, own, removeAll, settle } from './tools.ts';

const SMALL_TABLES = 20_000;

/** The cost per byte of a cluster of 20,000 small relations, against that of the usual one. */
export async function runSmallFiles(options: BenchOptions): Promise<string> {
  const directory = path.join(options.directory, 'cluster-small');
  mkdirSync(directory, { recursive: true });
  own(options, directory);
  const small = makeCluster({
    directory,
    user: options.user,
    scale: 1,
    mixedRows: 1000,
    smallTables: SMALL_TABLES,
  });
  const large = benchCluster(options);
  const smallBytes = diskUsage(path.join(small, 'base'));
  const lines = [
    `### ${SMALL_TABLES} small relations, ${(smallBytes / 1e6).toFixed(0)} MB, against ${(large.bytes / 1e6).toFixed(0)} MB in large ones`,
    '',
  ];
  for (const direction of ['import', 'export'] as const) {
    const times: { small: Measurement[]; large: Measurement[] } = { small: [], large: [] };
    for (let round = 0; round < options.rounds; round++) {
      for (const [name, data] of [
        ['small', small],
        ['large', large.data],
      ] as const) {
        times[name].push(await roundTrip(options, data, direction));
      }
    }
    const perByte = (measurement: Measurement, bytes: number) => (measurement.wallSeconds / bytes) * 1e9;
    const [smallCost, largeCost] = [
      perByte(medianOf(times.small), smallBytes),
      perByte(medianOf(times.large), large.bytes),
    ];
    lines.push(
      `- ${direction}: ${smallCost.toFixed(2)} s/GB against ${largeCost.toFixed(2)} s/GB, ${(smallCost / largeCost).toFixed(2)}× per byte`,
    );
  }
  return lines.join('\n');
}

/** Times one direction; the other one is done untimed where it is needed. */
async function roundTrip(
  options: BenchOptions,
  data: string,
  direction: 'import' | 'export',
): Promise<Measurement> {
  removeAll(options, 'import', 'restored-neon');
  mkdirSync(path.join(options.directory, 'import'));
  own(options, path.join(options.directory, 'import'));
  const bucket = path.join(options.directory, 'import/bucket');
  settle();
  const imported = await measure(
    neon(options, [
      'init',
      '-D',
      'import',
      `--snapshot_path=${data}`,
      '--snapshot_format=pgdata',
      `--storage_dest=${bucket}`,
    ]),
  );
  if (direction === 'import') return imported;
  settle();
  return measure(
    neon(options, [
      'export',
      `--storage_dest=${bucket}`,
      '--snapshot_path=restored-neon',
      '--snapshot_format=pgdata',
    ]),
  );
}

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
  const times = { small: noTimes(), large: noTimes() };
  for (let round = 0; round < options.rounds; round++) {
    for (const [name, data] of [
      ['small', small],
      ['large', large.data],
    ] as const) {
      const { imported, exported } = await roundTrip(options, { data, place: `files-${name}-${round}` });
      times[name].import.push(imported);
      times[name].export.push(exported);
    }
  }
  for (const direction of ['import', 'export'] as const) {
    const perByte = (measurement: Measurement, bytes: number) => (measurement.wallSeconds / bytes) * 1e9;
    const [ofSmall, ofLarge] = [medianOf(times.small[direction]), medianOf(times.large[direction])];
    const [smallCost, largeCost] = [perByte(ofSmall, smallBytes), perByte(ofLarge, large.bytes)];
    lines.push(
      `- ${direction}: ${smallCost.toFixed(2)} s/GB against ${largeCost.toFixed(2)} s/GB, ${(smallCost / largeCost).toFixed(2)}× per byte; CPU ${ofSmall.cpuSeconds.toFixed(2)} s, peak RSS ${(ofSmall.rssPeakBytes / 1024 / 1024).toFixed(0)} MiB`,
    );
  }
  for (let round = 0; round < options.rounds; round++) {
    removeAll(options, `files-small-${round}`, `files-large-${round}`);
  }
  return lines.join('\n');
}

function noTimes(): { readonly import: Measurement[]; readonly export: Measurement[] } {
  return { import: [], export: [] };
}

/**
 * Times both directions in a directory of their own, which stays until the end: ext4 passes one by one over the inodes that
 * were freed in the last minutes, and a file made where 60,000 were just removed costs 500 µs instead of 30.
 */
async function roundTrip(
  options: BenchOptions,
  { data, place }: { readonly data: string; readonly place: string },
): Promise<{ readonly imported: Measurement; readonly exported: Measurement }> {
  removeAll(options, place);
  mkdirSync(path.join(options.directory, place));
  own(options, path.join(options.directory, place));
  settle();
  const from = [`--snapshot_path=${data}`, '--snapshot_format=pgdata', `--storage_dest=${place}/bucket`];
  const imported = await measure(neon(options, ['init', '-D', place, ...from]));
  settle();
  const to = [
    `--storage_dest=${place}/bucket`,
    `--snapshot_path=${place}/restored`,
    '--snapshot_format=pgdata',
  ];
  return { imported, exported: await measure(neon(options, ['export', ...to])) };
}

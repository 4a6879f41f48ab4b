import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { replayWithStock } from './redo-stock.ts';
import { makeRedoWal } from './redo-wal.ts';
import type { BenchOptions } from './run.ts';
import { own } from './tools.ts';

const TESTING = path.resolve(import.meta.dirname, '../packages/wal-redo/src/testing');

interface Replay {
  readonly records: number;
  readonly bytes: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly rssPeakBytes: number;
}

/** Replay of WAL against stock Postgres, by one thread and by two, and one page from its records. */
export async function runRedo(options: BenchOptions): Promise<string> {
  const directory = path.join(options.directory, 'redo');
  mkdirSync(directory, { recursive: true });
  own(options, directory);
  const place = { directory, user: options.user };
  const work = makeRedoWal(place);
  const rounds = Array.from({ length: options.rounds }, () => ({
    stock: replayWithStock(work, place),
    one: replay(directory, 0),
    two: replay(directory, 2),
  }));
  const best = (key: 'stock' | 'one' | 'two', what: 'wallSeconds' | 'cpuSeconds') =>
    Math.min(...rounds.map((round) => round[key][what]));
  const { records = 0, bytes = 0 } = rounds[0]?.one ?? {};
  const row = (name: string, key: 'stock' | 'one' | 'two') => {
    const wall = best(key, 'wallSeconds');
    const cells = [
      name,
      wall.toFixed(2),
      best(key, 'cpuSeconds').toFixed(2),
      (records / wall / 1000).toFixed(0),
      (bytes / wall / 1e6).toFixed(0),
      (best('stock', 'cpuSeconds') / best(key, 'cpuSeconds')).toFixed(2),
      (best('stock', 'wallSeconds') / wall).toFixed(2),
    ];
    return `| ${cells.join(' | ')} |`;
  };
  const page = script<{ p50: number; p90: number; records: number; pages: number }>('measure-page.ts', [
    directory,
  ]);
  const peak = Math.max(...rounds.map(({ two }) => two.rssPeakBytes)) / 1024 / 1024;
  return [
    `### Redo of ${records} records, ${(bytes / 1e6).toFixed(0)} MB, best of ${rounds.length} rounds, load ${loadavg().map(Math.round).join(', ')}`,
    '',
    '| what | wall s | CPU s | 1000 records/s | MB/s | speed per CPU second, stock = 1 | speed by wall, stock = 1 |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    row('stock Postgres', 'stock'),
    row('one thread', 'one'),
    row('two workers', 'two'),
    '',
    `- peak memory of two workers: ${peak.toFixed(0)} MiB`,
    `- a page from ${page.records} records (${page.pages} pages): p50 ${page.p50.toFixed(0)} µs, p90 ${page.p90.toFixed(0)} µs`,
  ].join('\n');
}

/** With the built packages, as users run them. */
function replay(directory: string, workers: number): Replay {
  const argv = [path.join(import.meta.dirname, 'redo-replay.ts'), directory, String(workers)];
  // Ours to parse: the script prints exactly this.
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' })) as Replay;
}

function script<T>(name: string, args: readonly string[]): T {
  const argv = ['--conditions=@neon-snapshot/source', path.join(TESTING, name), ...args];
  // Ours to parse: the scripts print exactly this.
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' })) as T;
}

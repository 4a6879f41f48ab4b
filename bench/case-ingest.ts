import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { decodeControlFile } from '@neon-snapshot/postgres';
import { type IngestWork, makeIngestWork, replayOverBase } from './ingest-work.ts';
import type { BenchOptions } from './run.ts';

interface Ingest {
  readonly bytes: number;
  /** Until all was taken; the last layers were not pushed then. */
  readonly ingestSeconds: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly rssPeakBytes: number;
}

/** WAL into a page server (decode, ingest, raw tail, layers, index) against replay by stock Postgres. */
export async function runIngest(options: BenchOptions): Promise<string> {
  const work = await makeIngestWork(options);
  const rounds = Array.from({ length: options.rounds }, () => ({
    stock: replayOverBase(options, work),
    ours: ingest(work),
  }));
  const best = (pick: (round: (typeof rounds)[number]) => number) => Math.min(...rounds.map(pick));
  const bytes = rounds[0]?.ours.bytes ?? 0;
  const stock = { wall: best((r) => r.stock.wallSeconds), cpu: best((r) => r.stock.cpuSeconds) };
  const ours = { wall: best((r) => r.ours.wallSeconds), cpu: best((r) => r.ours.cpuSeconds) };
  const row = (name: string, { wall, cpu }: { readonly wall: number; readonly cpu: number }) => {
    const speed = (bytes / 1e6 / wall).toFixed(0);
    const cells = [name, wall.toFixed(2), cpu.toFixed(2), speed, (stock.wall / wall).toFixed(2)];
    return `| ${cells.join(' | ')} |`;
  };
  const peak = Math.max(...rounds.map((r) => r.ours.rssPeakBytes)) / 1024 / 1024;
  return [
    `### Ingest of ${(bytes / 1e6).toFixed(0)} MB of WAL, best of ${rounds.length} rounds, load ${loadavg().map(Math.round).join(', ')}`,
    '',
    '| what | wall s | CPU s | MB/s | speed by wall, stock = 1 |',
    '| --- | ---: | ---: | ---: | ---: |',
    row('stock Postgres, replay', stock),
    row('page server: tail, layers and index in a file store', ours),
    '',
    `- taken, not yet all pushed, after ${best((r) => r.ours.ingestSeconds).toFixed(2)} s; peak memory ${peak.toFixed(0)} MiB`,
  ].join('\n');
}

function ingest({ directory }: IngestWork): Ingest {
  const control = decodeControlFile(readFileSync(path.join(directory, 'pgdata/global/pg_control')));
  const script = path.join(import.meta.dirname, 'ingest-run.ts');
  const argv = ['--conditions=@neon-snapshot/source', script, directory, String(control.checkPoint)];
  // Ours to parse: the script prints exactly this.
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' })) as Ingest;
}

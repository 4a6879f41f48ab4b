import { Worker } from 'node:worker_threads';
import type { Lsn } from '@neon-snapshot/postgres';
import type { RedoEngineOptions } from '../redo-engine.ts';
import type { WalDirectory } from './directory-source.ts';
import type { PageRange, ReplayShare } from './page-ranges.ts';
import { errorOf, type PortableError } from './portable-error.ts';
import type { ReplayCounts } from './replay-wal.ts';

export interface ReplayDirectoryOptions {
  readonly engine: RedoEngineOptions;
  /** A stopped cluster's data directory, only read. */
  readonly dataDirectory: string;
  readonly wal: WalDirectory;
  /** Where the data directory stands. */
  readonly start: Lsn;
  /** Default: the end of valid WAL. */
  readonly end?: Lsn;
  /** Threads, from 1. Each scans all WAL, checks its share of the CRCs and redoes its share of the page ranges. */
  readonly workers: number;
  readonly signal?: AbortSignal;
}

export interface ReplayedPages extends ReplayCounts {
  /** What records touched, in no order. Memory: these pages, with their neighbours up to 256 KiB. */
  readonly ranges: readonly PageRange[];
}

export interface ReplayRequest extends Omit<ReplayDirectoryOptions, 'workers' | 'signal'> {
  readonly share: ReplayShare;
}

export type WorkerAnswer =
  | { readonly kind: 'done'; readonly counts: ReplayCounts; readonly ranges: readonly PageRange[] }
  | { readonly kind: 'failed'; readonly error: PortableError };

const WORKERS_MAX = 64;

/**
 * The pages of a data directory after the WAL, by worker threads. Throws what `replayWal` throws, and the signal's reason.
 * Where a bad CRC ends the WAL, that has been found by one thread only, and the others start again with this end.
 */
export async function replayDirectory(options: ReplayDirectoryOptions): Promise<ReplayedPages> {
  const answers = await runWorkers(options);
  const ends = answers.map(({ counts }) => counts.end).sort((a, b) => Number(a - b));
  const end = ends[0] ?? options.start;
  if (ends.at(-1) !== end) return replayDirectory({ ...options, end });
  const [first] = answers;
  return {
    records: first?.counts.records ?? 0,
    bytes: first?.counts.bytes ?? 0,
    blocks: answers.reduce((sum, { counts }) => sum + counts.blocks, 0),
    end,
    ranges: answers.flatMap(({ ranges }) => ranges),
  };
}

type Done = Extract<WorkerAnswer, { kind: 'done' }>;

async function runWorkers({ workers: asked, signal, ...request }: ReplayDirectoryOptions): Promise<Done[]> {
  signal?.throwIfAborted();
  const count = Math.max(1, Math.min(WORKERS_MAX, Math.floor(asked)));
  const workers = Array.from({ length: count }, (_, index) =>
    startWorker({ ...request, share: { index, count } }),
  );
  const stop = () => Promise.all(workers.map((worker) => worker.terminate()));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.all(workers.map(answerOf));
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    await stop();
  }
}

function startWorker(workerData: ReplayRequest): Worker {
  const file = import.meta.url.endsWith('.ts') ? './replay-worker.ts' : './replay-worker.js';
  return new Worker(new URL(file, import.meta.url), { workerData });
}

function answerOf(worker: Worker): Promise<Done> {
  return new Promise((resolve, reject) => {
    worker.once('message', (answer: WorkerAnswer) => {
      if (answer.kind === 'done') resolve(answer);
      else reject(errorOf(answer.error));
    });
    worker.once('error', reject);
    worker.once('exit', (code) =>
      reject(new Error(`replay worker ended without an answer (exit code ${code})`)),
    );
  });
}

import { parentPort, workerData } from 'node:worker_threads';
import { createRedoEngine } from '../redo-engine.ts';
import { DirectorySource, walOfDirectory } from './directory-source.ts';
import { type PageRange, PageRanges } from './page-ranges.ts';
import { portableError } from './portable-error.ts';
import { replayWal } from './replay-wal.ts';
import type { ReplayRequest, WorkerAnswer } from './replay-workers.ts';

const { engine, wal, dataDirectory, start, end, share } = workerData as ReplayRequest;

let answer: WorkerAnswer;
try {
  using source = new DirectorySource(dataDirectory);
  const pages = new PageRanges(source, share);
  const counts = replayWal({
    engine: createRedoEngine(engine),
    wal: walOfDirectory(wal),
    start,
    ...(end === undefined ? {} : { end }),
    pages,
    share,
  });
  const ranges = Array.from(pages.ranges(), ({ tag, firstBlock, bytes, touched }): PageRange => {
    return { tag, firstBlock, bytes, touched };
  });
  answer = { kind: 'done', counts, ranges };
} catch (error) {
  answer = { kind: 'failed', error: portableError(error) };
}
parentPort?.postMessage(
  answer,
  answer.kind === 'done' ? [...new Set(answer.ranges.map(({ bytes }) => bytes.buffer))] : [],
);

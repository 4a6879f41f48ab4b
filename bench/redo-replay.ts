// Replays the WAL of `DIRECTORY/data/pg_wal` over `DIRECTORY/base` with the built packages and prints what it took as JSON:
//   node redo-replay.ts DIRECTORY WORKERS        (0: on the main thread)
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeControlFile } from '@neon-snapshot/postgres';
import {
  createRedoEngine,
  DirectorySource,
  PageRanges,
  replayDirectory,
  replayWal,
  walOfDirectory,
} from '@neon-snapshot/wal-redo';

const [directory = '.', workersText = '0'] = process.argv.slice(2);
const workers = Number(workersText);
const dataDirectory = join(directory, 'base');
const control = decodeControlFile(readFileSync(join(dataDirectory, 'global', 'pg_control')));
const start = control.checkPointCopy.redo;
const wal = {
  directory: join(directory, 'data', 'pg_wal'),
  major: 15,
  timeLineId: control.checkPointCopy.thisTimeLineId,
  segmentSize: control.walSegmentSizeBytes,
  systemIdentifier: control.systemIdentifier,
};
const engine = { major: 15, heapLayout: 'stock', hintBitsLogged: control.dataChecksumVersion !== 0 } as const;

const before = process.cpuUsage();
const startedAt = performance.now();
const counts =
  workers > 0 ? await replayDirectory({ engine, dataDirectory, wal, start, workers }) : replayOnThisThread();
const wallSeconds = (performance.now() - startedAt) / 1000;
const { user, system } = process.cpuUsage(before);
const { records, bytes, blocks } = counts;
const rssPeakBytes = process.resourceUsage().maxRSS * 1024;
console.log(
  JSON.stringify({ records, bytes, blocks, wallSeconds, cpuSeconds: (user + system) / 1e6, rssPeakBytes }),
);

function replayOnThisThread() {
  using source = new DirectorySource(dataDirectory);
  return replayWal({
    engine: createRedoEngine(engine),
    wal: walOfDirectory(wal),
    start,
    pages: new PageRanges(source),
  });
}

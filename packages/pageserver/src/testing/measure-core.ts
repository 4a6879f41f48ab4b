/*
 * How fast WAL is taken and pages are read, on the WAL of a sample: node --conditions=@neon-snapshot/source
 * packages/pageserver/src/testing/measure-core.ts [pg17]
 */
import { keyFromHex } from '@neon-snapshot/neon-layer';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { makeStateDirectory, openTestServer } from './memory-server.ts';
import { seededRandom } from './random.ts';
import { openSampleTimeline } from './sample-timeline.ts';

const PIECE_BYTES = 128 * 1024;
const READ_COUNT = 3000;

function report(what: string, micros: number[]): void {
  micros.sort((a, b) => a - b);
  const at = (share: number) => Math.round(micros[Math.floor(micros.length * share)] ?? 0);
  console.log(`${what}: p50 ${at(0.5)} µs, p90 ${at(0.9)} µs, p99 ${at(0.99)} µs, max ${at(0.9999)} µs`);
}

async function main(name: string): Promise<void> {
  const sample = await openSampleTimeline(name);
  await using storage = createMemoryStorage();
  await using directory = await makeStateDirectory();
  await sample.putBase(storage);
  await using server = await openTestServer({
    storage,
    tenantId: sample.tenantId,
    stateDirectory: directory.path,
    memoryBytesMax: 1024 * 1024 * 1024,
  });
  const timeline = server.timeline(sample.timelineId);
  const end = sample.phases.at(-1)?.lsn ?? sample.baseLsn;
  const startedAt = performance.now();
  while (timeline.lastRecordLsn < end) {
    const offset = Number(timeline.receivedLsn - sample.baseLsn);
    await timeline.ingestWal(sample.wal.slice(offset, offset + PIECE_BYTES), timeline.receivedLsn);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const megabytes = Number(timeline.lastRecordLsn - sample.baseLsn) / 1e6;
  console.log(
    `ingest: ${megabytes.toFixed(1)} MB in ${seconds.toFixed(2)} s, ${(megabytes / seconds).toFixed(0)} MB/s`,
  );
  const keys = sample.phases.at(-1)?.listed.map(([hex]) => keyFromHex(hex)) ?? [];
  const pages = keys.filter((key) => key[0] === 0 && key[14] !== 0xff && (key[11] !== 0 || key[12] !== 0));
  const random = seededRandom(1);
  const readAll = async (what: string): Promise<void> => {
    const micros: number[] = [];
    for (let count = 0; count < READ_COUNT; count += 1) {
      const key = pages[random(pages.length)];
      if (key === undefined) return;
      const before = performance.now();
      await timeline.get(key, timeline.lastRecordLsn);
      micros.push((performance.now() - before) * 1000);
    }
    report(what, micros);
  };
  await readAll('page, changes in memory, cold');
  await readAll('page, changes in memory, warm');
  const frozenAt = performance.now();
  await timeline.freeze();
  console.log(`freeze: ${(performance.now() - frozenAt).toFixed(0)} ms`);
  await readAll('page, one L0 layer, cold');
  await readAll('page, one L0 layer, warm');
}

await main(process.argv[2] ?? 'pg17');

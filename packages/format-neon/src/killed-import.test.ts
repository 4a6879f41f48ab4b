import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadTimeline } from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { openS3Storage } from '@neon-snapshot/storage-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listTimelines } from './catalog/timelines.ts';
import { makeLargeSnapshot } from './testing/large-snapshot.ts';
import { keysOf, readFiles, write } from './testing/made-up-runs.ts';
import type { MadeUpSnapshot } from './testing/made-up-snapshot.ts';
import { openBucket, S3_KEYS, S3_SERVERS } from './testing/s3-servers.ts';
import { watchPuts } from './testing/watched-storage.ts';

/** CI takes all that the guarantee is stated for. */
const KILLS = process.env.CI === undefined ? 4 : 20;
/** At this rate an import takes about a second. */
const BYTES_PER_SECOND = 15_000_000;
/** Puts of an import: 29 layers, and what comes before and after them. */
const PUTS = 36;
/** About what a put of a layer takes. */
const KILL_DELAY_MAX_MS = 60;
const CHILD = fileURLToPath(new URL('./testing/import-worker.ts', import.meta.url));

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'neon-killed-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Starts an import, and kills it some milliseconds after it has begun its nth put. */
async function killedImport(place: readonly string[], nth: number): Promise<void> {
  const argv = ['--conditions=@neon-snapshot/source', CHILD, String(BYTES_PER_SECOND), ...place];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let count = 0;
  for await (const _ of createInterface({ input: child.stdout })) {
    count += 1;
    if (count === nth) break;
  }
  await sleep(Math.random() * KILL_DELAY_MAX_MS);
  child.kill('SIGKILL');
  await exited;
}

const isWhole = async (storage: Storage) =>
  (await listTimelines(storage)).some(({ state }) => state === 'ready');
const layersOf = async (storage: Storage) => (await keysOf(storage)).filter((key) => key.includes('__'));

/** Runs the import again, which must be right and send no stored layer again. Gives the layers that were stored. */
async function resume(storage: Storage, { reader, files }: MadeUpSnapshot): Promise<number> {
  let storedCount = 0;
  // Faster than it was meant to be: it is whole.
  if (!(await isWhole(storage))) {
    storedCount = (await layersOf(storage)).length;
    const puts: string[] = [];
    const watched = watchPuts(storage, (key) => puts.push(key));
    const { result } = await write(reader, watched, { sole_tenant: true });
    const layerPuts = puts.filter((key) => key.includes('__'));
    expect(layerPuts).toHaveLength(Number(result.facts.layers) - storedCount);
  }
  const [{ tenantId: tenant, timelineId } = { tenantId: '', timelineId: '' }] = await listTimelines(storage);
  const { index } = await loadTimeline(storage, { tenant, timelineId });
  expect(await layersOf(storage)).toHaveLength(index.layers.size);
  const found = await readFiles(storage);
  for (const [name, bytes] of files)
    expect(Buffer.compare(found.get(name) ?? new Uint8Array(1), bytes), name).toBe(0);
  return storedCount;
}

test(`an import killed at ${KILLS} moments goes on each time with the layers that are stored`, {
  timeout: 300_000,
}, async () => {
  const snapshot = makeLargeSnapshot();
  const reusedCounts: number[] = [];
  for (let nth = 0; nth < KILLS; nth += 1) {
    const rootPath = path.join(directory, String(nth));
    // Anywhere in the nth of as many equal parts of the import.
    await killedImport([rootPath], 1 + Math.floor(((nth + Math.random()) * PUTS) / KILLS));
    await using storage = await openFsStorage({ rootPath, create: true });
    reusedCounts.push(await resume(storage, snapshot));
    await rm(rootPath, { recursive: true });
  }
  // The first moments are before any layer, and on a busy machine an import may be whole before the kill arrives.
  expect(reusedCounts.filter((count) => count > 0).length).toBeGreaterThanOrEqual(KILLS / 4);
});

describe.each(S3_SERVERS)('an import into %s', (name) => {
  test('killed at 3 moments goes on with the layers that are stored', { timeout: 300_000 }, async () => {
    const bucket = `neon-${randomUUID()}`;
    await using server = await openBucket(name, bucket);
    const { endpoint } = server;
    const snapshot = makeLargeSnapshot();
    const reusedCounts: number[] = [];
    // Before the first layer, among the layers, at the end.
    for (const nth of [3, Math.floor(PUTS / 2), PUTS - 5]) {
      const prefix = `killed-${nth}`;
      await killedImport([endpoint, bucket, prefix], nth);
      await using storage = await openS3Storage({ endpoint, bucket, prefix, credentials: S3_KEYS });
      reusedCounts.push(await resume(storage, snapshot));
    }
    expect(reusedCounts[1]).toBeGreaterThan(0);
  });
});

import { setImmediate } from 'node:timers/promises';
import { auxFileKey, decodeAuxFiles, loadTimeline, openTimelineView } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { isPageServerError } from '../page-server-error.ts';
import { MADE_START, putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { MadeWal } from '../testing/made-wal.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { seededRandom } from '../testing/random.ts';
import { copyStorage } from '../testing/sample-timeline.ts';
import { createSlowStorage } from '../testing/slow-storage.ts';
import type { Timeline } from '../timeline/timeline.ts';

/** They take 40 ms each: all of them on CI. */
const RACE_COUNT = process.env.CI === 'true' ? 1000 : 200;
const TURNS_BEFORE_TAKE_OVER_MAX = 80;
const RECORDS_OF_LOSER = 40;
const RECORDS_OF_WINNER = 4;

type Random = (countMax: number) => number;

interface Loser {
  durableLsn: Lsn;
  failure: unknown;
}

/** Goes on taking WAL and pushing until it is refused. */
async function writeUntilFenced(timeline: Timeline, wal: MadeWal, random: Random): Promise<Loser> {
  const loser: Loser = { durableLsn: MADE_START, failure: undefined };
  timeline.onDurable(() => {
    loser.durableLsn = timeline.durableLsn;
  });
  try {
    for (let count = 0; ; count += 1) {
      const record =
        count < RECORDS_OF_LOSER ? wal.putFile(`file-${count % 5}`, `loser ${count}`) : undefined;
      if (record !== undefined)
        await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn), timeline.receivedLsn);
      if (random(3) === 0) await timeline.pushTail();
      if (random(6) === 0) await timeline.push();
      if (record === undefined) await timeline.publish({});
    }
  } catch (error) {
    loser.failure = error;
  }
  return loser;
}

function contentOf(value: Uint8Array | undefined): string | undefined {
  const [file] = value === undefined ? [] : decodeAuxFiles(value);
  return file && Buffer.from(file.content).toString();
}

async function race(base: Storage, random: Random, stateDirectory: string): Promise<void> {
  await using storage = createMemoryStorage();
  await copyStorage(base, storage);
  const open = (name: string) =>
    openTestServer({
      storage: createSlowStorage(storage, random),
      tenantId: TENANT,
      stateDirectory: `${stateDirectory}/${name}`,
      durability: 'remote',
    });
  await using first = await open('a');
  const wal = new MadeWal(MADE_START);
  const losing = writeUntilFenced(first.timeline(TIMELINE), wal, random);
  for (let turns = random(TURNS_BEFORE_TAKE_OVER_MAX); turns > 0; turns -= 1) await setImmediate();
  await using second = await open('b');
  const winner = second.timeline(TIMELINE);
  const takenAt = winner.lastRecordLsn;
  // From here on its WAL is another one.
  const own = new MadeWal(takenAt, winner.prevRecordLsn);
  for (let count = 0; count < RECORDS_OF_WINNER; count += 1) {
    own.putFile(`file-${count % 3}`, `winner ${count}`);
    await winner.ingestWal(own.bytesFrom(winner.receivedLsn), winner.receivedLsn);
    if (random(2) === 0) await winner.pushTail();
    if (random(3) === 0) await winner.push();
  }
  await winner.push();
  const loser = await losing;
  expect(isPageServerError(loser.failure, 'PAGESERVER_FENCED')).toBe(true);
  expect(first.signal.reason).toMatchObject({ message: expect.stringContaining('neon pageserver') });
  expect(second.signal.aborted).toBe(false);
  expect(takenAt).toBeGreaterThanOrEqual(loser.durableLsn);
  await checkBucket(storage, { wal, own, takenAt, generation: second.generation });
  const expected = new Map<string, string>();
  for (const { path, content, end } of wal.records) if (end <= takenAt) expected.set(path, content);
  for (const { path, content } of own.records) expected.set(path, content);
  const view = await openTimelineView(storage, { tenant: TENANT, timelineId: TIMELINE });
  for (const [path, content] of expected) expect(contentOf(await view.get(auxFileKey(path)))).toBe(content);
  view.close();
}

/** The newest index is the winner's and ends where its WAL does; all its layers are there. */
async function checkBucket(
  storage: Storage,
  of: { readonly wal: MadeWal; readonly own: MadeWal; readonly takenAt: Lsn; readonly generation: number },
): Promise<void> {
  const source = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
  expect(source.generation).toBe(of.generation);
  expect(source.index.metadata.diskConsistentLsn).toBe(of.own.end);
  for (const { objectKey, sizeBytes } of source.layers.layers)
    expect((await storage.head(objectKey)).sizeBytes).toBe(sizeBytes);
}

describe('two page servers on one bucket', () => {
  it(`publish one after the other in ${RACE_COUNT} take-overs at random moments; the first says that it was fenced and by whom`, {
    timeout: 120_000,
  }, async () => {
    await using base = createMemoryStorage();
    await putMadeTimeline(base);
    for (let number = 0; number < RACE_COUNT; number += 1) {
      await using directory = await makeStateDirectory();
      try {
        await race(base, seededRandom(number), directory.path);
      } catch (error) {
        throw new Error(`race ${number}`, { cause: error });
      }
    }
  });
});

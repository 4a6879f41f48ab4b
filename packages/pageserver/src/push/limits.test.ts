import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { auxFileKey, decodeAuxFiles } from '@neon-snapshot/neon-layer';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import type { PageServerEvent } from '../page-server/events.ts';
import { MADE_START, putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { MadeWal } from '../testing/made-wal.ts';
import { createManualClock } from '../testing/manual-clock.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { createSwitchedStorage } from '../testing/switched-storage.ts';

const MIB = 1024 * 1024;

/** Whether a promise is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const done = () => {
    settled = true;
  };
  promise.then(done, done);
  await new Promise((resolve) => setTimeout(resolve, 20));
  return settled;
}

describe('a page server', () => {
  it('takes no more WAL while its memory is used up and the storage is out of reach, and goes on afterwards', async () => {
    await using bucket = createMemoryStorage();
    await putMadeTimeline(bucket);
    const switched = createSwitchedStorage(bucket);
    const clock = createManualClock(new Date('2026-11-24T10:00:00Z'));
    await using directory = await makeStateDirectory();
    const events: PageServerEvent[] = [];
    await using server = await openTestServer({
      storage: switched.storage,
      tenantId: TENANT,
      stateDirectory: directory.path,
      clock,
      pushIntervalMs: 1000,
      layerIntervalMs: 30_000,
      layerBytesMax: MIB,
      memoryBytesMax: 8 * MIB,
      onEvent: (event) => events.push(event),
    });
    const timeline = server.timeline(TIMELINE);
    const wal = new MadeWal(MADE_START);
    // What ingest builds on is in the cache then.
    wal.putFile('file-0', 'first');
    await timeline.ingestWal(wal.bytesFrom(MADE_START), MADE_START);
    switched.isOn = false;
    let taking = Promise.resolve();
    let count = 1;
    for (; count < 100; count += 1) {
      wal.putFile(`file-${count % 10}`, `${count} `.repeat(100_000));
      taking = timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn), timeline.receivedLsn);
      if (!(await isSettled(taking))) break;
    }
    expect(count).toBeLessThan(60);
    expect(timeline.durableLsn).toBe(MADE_START);
    expect(events).toContainEqual(expect.objectContaining({ kind: 'back-pressure', isOn: true }));
    // What is there is read all the same.
    const value = await timeline.get(auxFileKey('file-0'), timeline.lastRecordLsn);
    expect(decodeAuxFiles(value ?? new Uint8Array())).toHaveLength(1);
    switched.isOn = true;
    await clock.advance(60_000);
    await taking;
    expect(events).toContainEqual(expect.objectContaining({ kind: 'back-pressure', isOn: false }));
    await clock.advance(40_000);
    expect(timeline.lastRecordLsn).toBe(wal.end);
    expect(timeline.remoteConsistentLsn).toBe(wal.end);
    expect(timeline.memoryBytes).toBeLessThan(4 * MIB);
    await server.close({ timeoutMs: 0 });
  });

  it('goes on without a local disk: what it cannot keep there it brings to the storage, and says so', async () => {
    await using bucket = createMemoryStorage();
    await putMadeTimeline(bucket);
    await using directory = await makeStateDirectory();
    await writeFile(join(directory.path, 'cache'), 'no directory can be made here');
    const events: PageServerEvent[] = [];
    await using server = await openTestServer({
      storage: bucket,
      tenantId: TENANT,
      stateDirectory: directory.path,
      onEvent: (event) => events.push(event),
    });
    const timeline = server.timeline(TIMELINE);
    const wal = new MadeWal(MADE_START);
    for (let count = 0; count < 10; count += 1) {
      wal.putFile('file', `content ${count}`);
      await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn), timeline.receivedLsn);
      if (count % 3 === 0) await timeline.freeze();
      if (count % 5 === 0) await timeline.push();
      for (const { end, content } of wal.records) {
        const value = await timeline.get(auxFileKey('file'), end);
        const [file] = decodeAuxFiles(value ?? new Uint8Array());
        expect(Buffer.from(file?.content ?? []).toString()).toBe(content);
      }
    }
    expect(events).toContainEqual(expect.objectContaining({ kind: 'cache-failing' }));
    await timeline.push();
    expect(timeline.remoteConsistentLsn).toBe(wal.end);
    expect(server.resources.cache.layerCount).toBe(0);
  });
});

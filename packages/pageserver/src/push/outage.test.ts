import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import type { PageServerEvent } from '../page-server/events.ts';
import type { Durability } from '../page-server/options.ts';
import { MADE_START, putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { MadeWal } from '../testing/made-wal.ts';
import { createManualClock } from '../testing/manual-clock.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { createSwitchedStorage } from '../testing/switched-storage.ts';

async function setUp(durability: Durability) {
  const bucket = createMemoryStorage();
  await putMadeTimeline(bucket);
  const switched = createSwitchedStorage(bucket);
  const clock = createManualClock(new Date('2026-11-24T10:00:00Z'));
  const directory = await makeStateDirectory();
  const events: PageServerEvent[] = [];
  const server = await openTestServer({
    storage: switched.storage,
    tenantId: TENANT,
    stateDirectory: directory.path,
    durability,
    clock,
    pushIntervalMs: 1_000,
    layerIntervalMs: 30_000,
    onEvent: (event) => events.push(event),
  });
  const timeline = server.timeline(TIMELINE);
  const wal = new MadeWal(MADE_START);
  const write = async (content: string) => {
    wal.putFile('file', content);
    await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn), timeline.receivedLsn);
  };
  const kinds = () => events.map(({ kind }) => kind);
  return {
    bucket,
    switched,
    clock,
    server,
    timeline,
    wal,
    write,
    kinds,
    async [Symbol.asyncDispose]() {
      await server.close({ timeoutMs: 0 });
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe.each(['local', 'remote'] as const)(
  'a storage that is out of reach, with durability %s,',
  (durability) => {
    it('for longer than the lease lasts is waited for; nothing is acknowledged meanwhile, everything afterwards', async () => {
      await using test = await setUp(durability);
      const { clock, server, switched, timeline, wal, write, kinds } = test;
      await write('before');
      await clock.advance(2_000);
      const durable = wal.end;
      expect(timeline.durableLsn).toBe(durable);
      switched.isOn = false;
      for (let second = 0; second < 120; second += 10) {
        await write(`during ${second}`);
        await clock.advance(10_000);
        expect(timeline.durableLsn).toBe(durable);
      }
      expect(timeline.lastRecordLsn).toBe(wal.end);
      expect(timeline.pushState).toMatchObject({
        lagBytes: Number(wal.end - durable),
        failure: { message: expect.stringContaining('does not answer') },
      });
      expect(kinds()).toContain('storage-failing');
      switched.isOn = true;
      await clock.advance(40_000);
      expect(server.signal.aborted).toBe(false);
      expect(timeline.durableLsn).toBe(wal.end);
      expect(timeline.pushState).toMatchObject({ lagBytes: 0, failure: undefined, behindSince: undefined });
      expect(kinds()).toContain('storage-recovered');
      await clock.advance(31_000);
      expect(timeline.remoteConsistentLsn).toBe(wal.end);
    });

    it('is the end where somebody took the lease meanwhile', async () => {
      await using test = await setUp(durability);
      const { bucket, clock, server, switched, timeline, wal, write, kinds } = test;
      await write('before');
      await clock.advance(2_000);
      const durable = wal.end;
      switched.isOn = false;
      await write('during');
      await clock.advance(40_000);
      await using directory = await makeStateDirectory();
      await using other = await openTestServer({
        storage: bucket,
        tenantId: TENANT,
        stateDirectory: directory.path,
        clock,
        takeOver: false,
      });
      switched.isOn = true;
      await clock.advance(10_000);
      expect(server.signal.reason).toMatchObject({ code: 'PAGESERVER_FENCED' });
      expect(kinds()).toContain('fenced');
      expect(timeline.durableLsn).toBe(durable);
      await expect(write('after')).rejects.toMatchObject({ code: 'PAGESERVER_FENCED' });
      await expect(timeline.push()).rejects.toMatchObject({ code: 'PAGESERVER_FENCED' });
      expect(other.timeline(TIMELINE).lastRecordLsn).toBe(durable);
      await other.close({ timeoutMs: 0 });
    });
  },
);

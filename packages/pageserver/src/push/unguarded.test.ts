import { createUnguardedLease } from '@neon-snapshot/repository';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { PageServer } from '../page-server/page-server.ts';
import { MADE_START, putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { MadeWal } from '../testing/made-wal.ts';
import { makeStateDirectory } from '../testing/memory-server.ts';

const UNCONDITIONAL = { conditionalPut: { ifNoneMatch: false, ifMatch: false } };

describe('a store without conditional puts', () => {
  it('serves a page server whose caller vouches for being alone', async () => {
    await using storage = createMemoryStorage({ capability: UNCONDITIONAL });
    await putMadeTimeline(storage);
    await using directory = await makeStateDirectory();
    const open = (generation: number) =>
      PageServer.open({
        storage,
        tenantId: TENANT,
        lease: createUnguardedLease({ generation }),
        stateDirectory: directory.path,
      });
    const wal = new MadeWal(MADE_START);
    {
      await using server = await open(2);
      const timeline = server.timeline(TIMELINE);
      for (let count = 0; count < 5; count += 1) {
        wal.putFile('file', `content ${count}`);
        await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn), timeline.receivedLsn);
        await timeline.pushTail();
        if (count === 2) await timeline.push();
      }
      expect(timeline.durableLsn).toBe(wal.end);
      await server.close({ timeoutMs: 0 });
    }
    await using again = await open(3);
    expect(again.timeline(TIMELINE).lastRecordLsn).toBe(wal.end);
  });

  it('is refused where puts show up late', async () => {
    await using storage = createMemoryStorage({ capability: { consistency: 'eventual' } });
    await putMadeTimeline(storage);
    await using directory = await makeStateDirectory();
    const lease = createUnguardedLease({ generation: 2 });
    const opening = PageServer.open({ storage, tenantId: TENANT, lease, stateDirectory: directory.path });
    await expect(opening).rejects.toMatchObject({ code: 'PAGESERVER_INVALID_ARGUMENT' });
  });
});

import { auxFileKey, decodeAuxFiles } from '@neon-snapshot/neon-layer';
import { listTail } from '@neon-snapshot/neon-timeline';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { expect, it } from 'vitest';
import { MADE_START, putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { MadeWal } from '../testing/made-wal.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';

const MIB = 1024 * 1024;

it('a tail whose first chunk begins inside of a record is taken over, after an outage that made several chunks of it', async () => {
  await using bucket = createMemoryStorage();
  await putMadeTimeline(bucket);
  await using directory = await makeStateDirectory();
  const dying = await openTestServer({
    storage: bucket,
    tenantId: TENANT,
    stateDirectory: directory.path,
    memoryBytesMax: 512 * MIB,
  });
  const timeline = dying.timeline(TIMELINE);
  const wal = new MadeWal(MADE_START);
  for (let count = 0; wal.end < MADE_START + BigInt(40 * MIB); count += 1)
    wal.putFile(`file-${count % 10}`, `${count} `.repeat(40_000));
  await timeline.ingestWal(wal.bytesFrom(MADE_START), MADE_START);
  await timeline.pushTail();
  await timeline.push();
  wal.putFile('last', 'behind the layers');
  await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn), timeline.receivedLsn);
  await timeline.pushTail();
  const [first] = await listTail(bucket, { tenantId: TENANT, timelineId: TIMELINE });
  // Of several chunks of 16 MiB, those that the layers cover are gone; the next one was cut at no record.
  expect(first?.start).toBeGreaterThan(MADE_START);
  expect(first?.start).toBeLessThan(timeline.diskConsistentLsn);

  await using other = await makeStateDirectory();
  await using next = await openTestServer({ storage: bucket, tenantId: TENANT, stateDirectory: other.path });
  const found = next.timeline(TIMELINE);
  expect(found.lastRecordLsn).toBe(wal.end);
  expect(found.lastRecord).toEqual(timeline.lastRecord);
  const value = await found.get(auxFileKey('last'), found.lastRecordLsn);
  expect(decodeAuxFiles(value ?? new Uint8Array())).toHaveLength(1);
  await next.close({ timeoutMs: 0 });
  await dying.close({ timeoutMs: 0 });
});

import { keyFromHex } from '@neon-snapshot/neon-layer';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { openSampleTimeline } from '../testing/sample-timeline.ts';
import { HAS_SAMPLES, SAMPLES_NOTE } from '../testing/sample-timelines.ts';

const CENTURY_MS = 100 * 365 * 24 * 3_600_000;

describe.runIf(HAS_SAMPLES)(`a reader of a page server${SAMPLES_NOTE}`, () => {
  test('goes on at its LSN when the layers that it began with were compacted and deleted', {
    timeout: 120_000,
  }, async () => {
    const sample = await openSampleTimeline('pg17');
    await using storage = createMemoryStorage();
    await using directory = await makeStateDirectory();
    await sample.putBase(storage);
    const { tenantId, timelineId } = sample;
    await using server = await openTestServer({
      storage,
      tenantId,
      stateDirectory: directory.path,
      // Nothing stays on the disk that is in the storage.
      cacheBytesMax: 1,
      gcGraceMs: 0,
      pitrIntervalMs: CENTURY_MS,
    });
    const timeline = server.timeline(timelineId);
    let at = sample.baseLsn;
    for (const { lsn } of sample.phases) {
      const bytes = sample.wal.slice(Number(at - sample.baseLsn), Number(lsn - sample.baseLsn));
      if (bytes.length > 0) await timeline.ingestWal(bytes, at);
      await timeline.push();
      at = timeline.receivedLsn;
    }
    const [, , p2] = sample.phases;
    if (p2 === undefined) throw new Error('a sample has four phases');
    const keys = p2.listed.map(([hex]) => keyFromHex(hex));
    const before = await timeline.getMany(keys, p2.lsn);
    const reader = await timeline.readerAt(p2.lsn);
    const old = timeline.source.layers.layers.map(({ objectKey }) => objectKey);
    await server.maintain(timelineId, (each, options) => each.compact({ forceL0: true, ...options }), {});
    await server.maintain(timelineId, (each, options) => each.collect(options), {});
    await expect(storage.head(old.at(-1) ?? '')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    expect(await reader.getMany(keys)).toEqual(before);
    reader.close();
  });
});

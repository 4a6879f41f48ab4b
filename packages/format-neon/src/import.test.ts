import {
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  KEY_MAX,
  KEY_MIN,
  keyToHex,
  loadTimeline,
  openTimelineView,
} from '@neon-snapshot/neon-layer';
import { crc32c, decodeCheckPoint, decodeControlFile, formatLsn } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import {
  IDS,
  imported,
  keysOf,
  openReader,
  readFiles,
  TENANT,
  TIMELINE,
  write,
} from './testing/made-up-runs.ts';
import {
  makePages,
  makeSnapshot,
  PREVIOUS_LSN,
  SNAPSHOT_LSN,
  SYSTEM_IDENTIFIER,
} from './testing/made-up-snapshot.ts';
import { watchPuts } from './testing/watched-storage.ts';

describe('an import', () => {
  test.each([14, 15, 16, 17] as const)('of major %d comes back byte for byte', async (major) => {
    const { reader, files } = makeSnapshot({ major });
    const storage = createMemoryStorage();
    await write(reader, storage);
    const found = await readFiles(storage);
    for (const [path, bytes] of files) expect(found.get(path), path).toEqual(bytes);
  });

  test('covers the keyspace with image layers at one LSN and says so in its index', async () => {
    await using storage = await imported();
    const { index, layers, generation } = await loadTimeline(storage, {
      tenant: TENANT,
      timelineId: TIMELINE,
    });
    expect(generation).toBe(1);
    expect(index.metadata).toMatchObject({
      diskConsistentLsn: SNAPSHOT_LSN,
      prevRecordLsn: PREVIOUS_LSN,
      initdbLsn: SNAPSHOT_LSN,
      latestGcCutoffLsn: SNAPSHOT_LSN,
      ancestorTimelineId: undefined,
      postgresMajor: 17,
    });
    expect(layers).toBeDefined();
    const ranges = [...index.layers.keys()].map((name) => name.slice(0, 73).split('-')).sort();
    expect(ranges[0]?.[0]).toBe(keyToHex(KEY_MIN));
    expect(ranges.at(-1)?.[1]).toBe(keyToHex(KEY_MAX));
    for (const [position, range] of ranges.entries()) {
      if (position > 0) expect(range[0]).toBe(ranges[position - 1]?.[1]);
    }
  });

  test('puts the index last', async () => {
    const order: string[] = [];
    const storage = watchPuts(createMemoryStorage(), (key) => key.endsWith('lease.json') || order.push(key));
    await write(makeSnapshot().reader, storage);
    expect(order.at(-1)).toMatch(/index_part\.json-00000001$/);
    expect(order.filter((key) => key.includes('index_part'))).toHaveLength(1);
  });

  test('marks the clean shutdown as Neon does and stores TimeLineID 1 whatever the cluster was on', async () => {
    await using storage = await imported({ timeLineId: 5 });
    const view = await openTimelineView(storage, { tenant: TENANT, timelineId: TIMELINE });
    const checkpoint = decodeCheckPoint((await view.get(CHECKPOINT_KEY)) ?? new Uint8Array(), 17);
    expect(checkpoint).toMatchObject({
      redo: SNAPSHOT_LSN,
      thisTimeLineId: 1,
      prevTimeLineId: 1,
      oldestActiveXid: 0x400,
    });
    const control = decodeControlFile((await view.get(CONTROL_FILE_KEY)) ?? new Uint8Array());
    expect(control.checkPointCopy).toMatchObject({ thisTimeLineId: 1, redo: PREVIOUS_LSN });
    view.close();
    await using reader = await openReader(storage);
    expect(reader.info.timeLineId).toBe(6);
  });

  test('takes the generation that it is given', async () => {
    const storage = createMemoryStorage();
    await write(makeSnapshot().reader, storage, { ...IDS, generation: '10' });
    const keys = await keysOf(storage);
    expect(keys.filter((key) => key.startsWith('tenants/')).every((key) => key.endsWith('-0000000a'))).toBe(
      true,
    );
  });

  test('keeps statistics, prepared transactions and replication origins', async () => {
    const state = new Uint8Array(100).fill(4);
    const prepared = new Uint8Array(104);
    prepared.set(state);
    new DataView(prepared.buffer).setUint32(100, crc32c(state), true);
    const files = {
      'pg_stat/pgstat.stat': new Uint8Array(5000).fill(3),
      'pg_twophase/00000001000003FF': prepared,
      'pg_logical/replorigin_checkpoint': Buffer.from(
        'deda5712070000000000000008ec4a01000000004724c3bc',
        'hex',
      ),
    };
    await using storage = await imported({ files });
    const found = await readFiles(storage);
    for (const [path, bytes] of Object.entries(files))
      expect(Buffer.from(found.get(path) ?? [])).toEqual(Buffer.from(bytes));
    const view = await openTimelineView(storage, { tenant: TENANT, timelineId: TIMELINE });
    const checkpoint = decodeCheckPoint((await view.get(CHECKPOINT_KEY)) ?? new Uint8Array(), 17);
    expect(checkpoint.oldestActiveXid).toBe(0x3ff);
    view.close();
  });

  test('of an unlogged relation keeps the init fork alone', async () => {
    const files = {
      'base/5/16500': makePages(4),
      'base/5/16500_fsm': makePages(3),
      'base/5/16500_init': makePages(1),
    };
    await using storage = await imported({ files });
    const found = await readFiles(storage);
    expect([...found.keys()].filter((path) => path.includes('16500'))).toEqual(['base/5/16500_init']);
  });
});

describe('finding a timeline', () => {
  test('an empty bucket is no neon storage', async () => {
    await using storage = createMemoryStorage();
    expect((await plugin.detect(storage)).found).toBe(false);
    await expect(openReader(storage)).rejects.toMatchObject({ code: 'FORMAT_NOT_FOUND' });
  });

  test('an import is detected, and read at its LSN', async () => {
    await using storage = await imported();
    expect(await plugin.detect(storage)).toMatchObject({
      found: true,
      reason: expect.stringContaining(TENANT),
    });
    await using reader = await openReader(storage, { lsn: formatLsn(SNAPSHOT_LSN) });
    expect(reader.info).toMatchObject({ systemIdentifier: SYSTEM_IDENTIFIER, dataChecksums: true });
    expect(reader.plan?.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(reader.info.bytesTotal);
  });
});

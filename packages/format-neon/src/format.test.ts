import {
  copySnapshot,
  describeSource,
  type FormatOptions,
  type SnapshotReader,
} from '@neon-snapshot/format-core';
import {
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  KEY_MAX,
  KEY_MIN,
  keyToHex,
  listTimelines,
  loadTimeline,
  openTimelineView,
} from '@neon-snapshot/neon-layer';
import { crc32c, decodeCheckPoint, decodeControlFile, formatLsn } from '@neon-snapshot/postgres';
import { createFaultyStorage } from '@neon-snapshot/storage-conformance';
import { createMemoryStorage, readAll, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { digestFiles } from './testing/exported-files.ts';
import {
  type MadeUpOptions,
  makePages,
  makeSnapshot,
  PREVIOUS_LSN,
  SNAPSHOT_LSN,
  SYSTEM_IDENTIFIER,
} from './testing/made-up-snapshot.ts';
import { testServices } from './testing/services.ts';
import { watchPuts } from './testing/watched-storage.ts';

const TENANT = 'a'.repeat(32);
const TIMELINE = 'b'.repeat(32);
const IDS = { tenant_id: TENANT, timeline_id: TIMELINE };

async function write(
  reader: SnapshotReader,
  storage: Storage,
  options: FormatOptions = IDS,
  signal?: AbortSignal,
) {
  const { services, warnings } = testServices();
  const source = describeSource(reader, 'made-up');
  const writer = await plugin.openWriter({ storage, options, services, concurrency: 2, source, signal });
  const result = await copySnapshot({ reader, writer, concurrency: 2, signal });
  return { result, warnings };
}

async function imported(options: MadeUpOptions = {}): Promise<Storage> {
  const storage = createMemoryStorage();
  await write(makeSnapshot(options).reader, storage);
  return storage;
}

async function openReader(storage: Storage, options: FormatOptions = {}): Promise<SnapshotReader> {
  return plugin.openReader({ storage, options, services: testServices().services, concurrency: 2 });
}

async function readFiles(storage: Storage, options: FormatOptions = {}): Promise<Map<string, Uint8Array>> {
  await using reader = await openReader(storage, options);
  const files = new Map<string, Uint8Array>();
  for (const partition of reader.partitions(3)) {
    for await (const entry of partition.entries) {
      if (entry.kind === 'file') files.set(entry.path, await readAll(entry.body, { sizeMaxBytes: 2 ** 30 }));
    }
  }
  return files;
}

async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of storage.list()) keys.push(...page.objects.map(({ key }) => key));
  return keys;
}

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
    const storage = watchPuts(createMemoryStorage(), (key) => order.push(key));
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

describe('an import that cannot be held', () => {
  test.each<[string, MadeUpOptions, string]>([
    ['major 18', { info: { postgresMajor: 18, catalogVersion: 202506291 } }, 'FORMAT_UNSUPPORTED'],
    ['blocks of 16 KiB', { info: { blockSizeBytes: 16384 } }, 'FORMAT_UNSUPPORTED'],
    ['WAL segments of 64 MiB', { info: { walSegmentSizeBytes: 2 ** 26 } }, 'FORMAT_UNSUPPORTED'],
    ['a tablespace', { info: { tablespaces: [{ oid: 16400, location: '/srv/t' }] } }, 'FORMAT_UNSUPPORTED'],
    [
      'an inconsistent snapshot',
      { info: { consistency: { kind: 'needs-wal', fromLsn: PREVIOUS_LSN, upToLsn: SNAPSHOT_LSN } } },
      'FORMAT_NOT_SHUT_DOWN',
    ],
    [
      'a replication slot',
      { info: { features: { replicationSlots: ['standby'], commitTimestamps: false, statistics: false } } },
      'FORMAT_LOSS',
    ],
    ['commit timestamps', { files: { 'pg_commit_ts/0000': new Uint8Array(8192) } }, 'FORMAT_LOSS'],
    ['an unknown file', { files: { 'server.key': new Uint8Array(10) } }, 'FORMAT_LOSS'],
  ])('because of %s is refused before anything is written', async (_, options, code) => {
    const storage = createMemoryStorage();
    await expect(write(makeSnapshot(options).reader, storage)).rejects.toMatchObject({ code });
    expect(await keysOf(storage)).toEqual([]);
  });

  test('without a plan is refused', async () => {
    const { plan, ...reader } = makeSnapshot().reader;
    expect(plan).toBeDefined();
    await expect(write(reader, createMemoryStorage())).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
  });

  test('goes through with allow_loss, which names what is left out', async () => {
    const files = { 'pg_commit_ts/0000': new Uint8Array(8192), 'server.key': new Uint8Array(10) };
    const storage = createMemoryStorage();
    const { warnings } = await write(makeSnapshot({ files }).reader, storage, { ...IDS, allow_loss: true });
    expect(warnings.join()).toMatch(/commit timestamps.*server\.key/);
    expect((await readFiles(storage)).has('server.key')).toBe(false);
  });

  test.each([{}, IDS])('onto a destination that holds the tenant is refused (%j)', async (options) => {
    await using storage = await imported();
    const before = await keysOf(storage);
    const again = write(makeSnapshot().reader, storage, options);
    await expect(again).rejects.toMatchObject({ code: 'FORMAT_NOT_EMPTY', context: { tenantId: TENANT } });
    expect(await keysOf(storage)).toEqual(before);
  });

  test('goes beside another tenant when it is given an id of its own', async () => {
    await using storage = await imported();
    await write(makeSnapshot().reader, storage, { tenant_id: 'c'.repeat(32) });
    expect(
      (await listTimelines(storage, { tenantId: 'c'.repeat(32), shard: { number: 0, count: 0 } })).length,
    ).toBe(1);
    await expect(openReader(storage)).rejects.toMatchObject({ code: 'FORMAT_AMBIGUOUS' });
  });

  test('ignores the layers of an interrupted import', async () => {
    const storage = createMemoryStorage();
    await storage.put(
      `tenants/${TENANT}/timelines/${TIMELINE}/00-01__0000000000000001-00000001`,
      new Uint8Array(1),
    );
    await write(makeSnapshot().reader, storage);
    expect((await readFiles(storage)).has('base/5/1259')).toBe(true);
  });

  test.each([{ tenant_id: 'x' }, { generation: '0' }, { generation: 'one' }, { colour: 'red' }])(
    'with a wrong option is refused (%j)',
    async (options) => {
      const storage = createMemoryStorage();
      await expect(write(makeSnapshot().reader, storage, options)).rejects.toMatchObject({
        code: 'FORMAT_OPTION',
      });
    },
  );
});

describe('damage at the source', () => {
  function damaged(): Record<string, Uint8Array> {
    const pages = makePages(70);
    pages[66 * 8192 + 5000] = (pages[66 * 8192 + 5000] ?? 0) ^ 1;
    return { 'base/5/1259': pages };
  }

  test('a corrupt page is named with file, block and both checksums, and nothing stays', async () => {
    const storage = createMemoryStorage();
    const error = await write(makeSnapshot({ files: damaged() }).reader, storage).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({
      code: 'FORMAT_CORRUPT_PAGE',
      context: {
        path: 'base/5/1259',
        blockNumber: 66,
        expected: expect.any(Number),
        found: expect.any(Number),
      },
    });
    expect(await keysOf(storage)).toEqual([]);
  });

  test('a corrupt page is kept as it is where that is asked for', async () => {
    const storage = createMemoryStorage();
    const files = damaged();
    const { warnings, result } = await write(makeSnapshot({ files }).reader, storage, {
      ...IDS,
      ignore_page_errors: true,
    });
    expect(warnings.join()).toContain('block 66');
    expect(result.facts.page_errors).toBe(1);
  });

  test('without checksums nobody looks', async () => {
    await using storage = await imported({ files: damaged(), dataChecksums: false });
    expect((await readFiles(storage)).get('base/5/1259')).toEqual(damaged()['base/5/1259']);
  });

  test('a prepared transaction with a wrong CRC is refused', async () => {
    const storage = createMemoryStorage();
    const files = { 'pg_twophase/00000001000003FF': new Uint8Array(104).fill(1) };
    await expect(write(makeSnapshot({ files }).reader, storage)).rejects.toMatchObject({
      code: 'FORMAT_CHECKSUM',
    });
    expect(await keysOf(storage)).toEqual([]);
  });

  test("another cluster's pg_control is refused", async () => {
    const storage = createMemoryStorage();
    const { reader } = makeSnapshot({ control: { systemIdentifier: SYSTEM_IDENTIFIER + 1n } });
    await expect(write(reader, storage)).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    expect(await keysOf(storage)).toEqual([]);
  });
});

describe('an import that ends early', () => {
  test('by a signal leaves nothing', async () => {
    const storage = createMemoryStorage();
    const controller = new AbortController();
    const { reader } = makeSnapshot({ onBody: (path) => path === 'global/1262' && controller.abort() });
    const error = await write(reader, storage, IDS, controller.signal).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'FORMAT_ABORTED' });
    expect(await keysOf(storage)).toEqual([]);
  });

  test('by any failed put leaves nothing', async () => {
    const counted = createFaultyStorage(createMemoryStorage(), { plan: [] });
    await write(makeSnapshot().reader, counted);
    for (let nth = 1; nth <= counted.callCount('put'); nth += 1) {
      const inner = createMemoryStorage();
      const fault = { kind: 'error', code: 'STORAGE_NO_SPACE' } as const;
      const storage = createFaultyStorage(inner, { plan: [{ verb: 'put', nth, fault }] });
      await expect(write(makeSnapshot().reader, storage)).rejects.toMatchObject({ code: 'STORAGE_NO_SPACE' });
      expect(storage.pendingFaults()).toEqual([]);
      expect(await keysOf(inner), `put ${nth}`).toEqual([]);
    }
  });

  test('by an index that somebody else put leaves that one alone', async () => {
    const inner = createMemoryStorage();
    const { reader } = makeSnapshot({
      onBody: () =>
        void inner.put(`tenants/${TENANT}/timelines/${TIMELINE}/index_part.json-00000001`, new Uint8Array(2)),
    });
    await expect(write(reader, inner)).rejects.toMatchObject({ code: 'FORMAT_NOT_EMPTY' });
    expect((await keysOf(inner)).filter((key) => key.includes('index_part'))).toHaveLength(1);
  });
});

describe('damage in the bucket', () => {
  test('a missing layer is an error', async () => {
    await using storage = await imported();
    const layers = (await keysOf(storage)).filter((key) => /__[0-9A-F]{16}-/.test(key));
    for (const key of layers) {
      const bytes = await readAll((await storage.get(key)).body, { sizeMaxBytes: 2 ** 30 });
      await storage.delete([key]);
      await expect(readFiles(storage), key).rejects.toMatchObject({
        code: expect.stringMatching(/^(STORAGE|FORMAT)_/),
      });
      await storage.put(key, bytes);
    }
    expect((await readFiles(storage)).size).toBeGreaterThan(10);
  });

  test('any flipped bit in any layer is an error or changes nothing but stored bytes', async () => {
    await using storage = await imported();
    const intact = await digest(storage);
    const layers = (await keysOf(storage)).filter((key) => /__[0-9A-F]{16}-/.test(key));
    for (const key of layers) {
      const bytes = await readAll((await storage.get(key)).body, { sizeMaxBytes: 2 ** 30 });
      for (let offset = 1; offset < bytes.length; offset += Math.ceil(bytes.length / 3)) {
        const flipped = Uint8Array.from(bytes);
        flipped[offset] = (flipped[offset] ?? 0) ^ 0x10;
        await storage.put(key, flipped);
        const outcome = await digest(storage).catch((error: unknown) => error);
        if (outcome instanceof Map) expect([...outcome.keys()], key).toEqual([...intact.keys()]);
        else expect(outcome, key).toMatchObject({ code: expect.stringMatching(/^FORMAT_/) });
      }
      await storage.put(key, bytes);
    }
  });

  test('an index cut anywhere is an error', async () => {
    await using storage = await imported();
    const key = (await keysOf(storage)).find((each) => each.includes('index_part')) ?? '';
    const bytes = await readAll((await storage.get(key)).body, { sizeMaxBytes: 2 ** 20 });
    for (let length = 0; length < bytes.length - 1; length += 97) {
      await storage.put(key, bytes.slice(0, length));
      await expect(openReader(storage), `${length}`).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    }
  });

  test('configuration of another cluster is left out with a warning', async () => {
    await using storage = await imported();
    const key = `neon-snapshot/${TENANT}/cluster/cluster.json`;
    const text = Buffer.from(
      await readAll((await storage.get(key)).body, { sizeMaxBytes: 2 ** 20 }),
    ).toString();
    await storage.put(key, Buffer.from(text.replace(`${SYSTEM_IDENTIFIER}`, '1')));
    const { services, warnings } = testServices();
    await using reader = await plugin.openReader({ storage, options: {}, services, concurrency: 1 });
    expect(warnings.join()).toContain('belongs to another cluster');
    expect(reader.plan?.some(({ path }) => path === 'postgresql.conf')).toBe(false);
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

async function digest(storage: Storage) {
  await using reader = await openReader(storage);
  return await digestFiles(reader);
}

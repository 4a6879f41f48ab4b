import type { FormatOptions, VerifyLevel, VerifyReport } from '@neon-snapshot/format-core';
import {
  CHECKPOINT_KEY,
  DeltaLayerBuilder,
  encodeIndexPart,
  encodeValue,
  type IndexPart,
  indexObjectKey,
  KEY_MAX,
  KEY_MIN,
  layerObjectKey,
  loadTimeline,
  relBlockKey,
  relSizeKey,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { crc32c, encodeWalRecord, lsn, RELMAP_SIZE, relationMapCrcOffset } from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from '../plugin.ts';
import { bytesOf, IDS, imported, keysOf, TENANT, TIMELINE, write } from '../testing/made-up-runs.ts';
import { makePages, makeSnapshot, SNAPSHOT_LSN } from '../testing/made-up-snapshot.ts';
import { HAS_SAMPLES, SAMPLES_NOTE, sampleStorage } from '../testing/neon-samples.ts';
import { testServices } from '../testing/services.ts';

const LEVELS: readonly VerifyLevel[] = ['meta', 'hash', 'pages'];
const LATER_LSN = lsn(SNAPSHOT_LSN + 0x100n);
const TAG = { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 0 } as const;

function relationMap(): Uint8Array {
  const bytes = new Uint8Array(RELMAP_SIZE[17]);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, 0x592717, true);
  const crcOffset = relationMapCrcOffset(17);
  view.setUint32(crcOffset, crc32c(bytes.subarray(0, crcOffset)), true);
  return bytes;
}

const MAPS = { 'global/pg_filenode.map': relationMap(), 'base/5/pg_filenode.map': relationMap() };

let original: Promise<Storage> | undefined;

/** A copy of one import: each test damages its own. */
async function sound(): Promise<Storage> {
  original ??= imported({ files: MAPS });
  const [from, to] = [await original, createMemoryStorage()];
  for (const key of await keysOf(from)) await to.put(key, await bytesOf(from, key));
  return to;
}

async function verify(
  storage: Storage,
  level: VerifyLevel,
  options: FormatOptions = {},
): Promise<VerifyReport> {
  const { services } = testServices();
  const report = await plugin.verify?.({ storage, level, options, services, concurrency: 2 });
  if (report === undefined) throw new Error('the format cannot verify');
  return report;
}

function codes({ findings }: VerifyReport): string[] {
  return findings.map(({ severity, code }) => `${severity} ${code}`);
}

async function layerKey(storage: Storage): Promise<string> {
  const key = (await keysOf(storage)).find((candidate) => /__[0-9A-F]{16}-0/.test(candidate));
  if (key === undefined) throw new Error('there is no layer');
  return key;
}

/** Adds a layer to the timeline's index, as a later generation. */
async function addDelta(
  storage: Storage,
  values: readonly (readonly [key: Uint8Array, value: Uint8Array])[],
  index: Partial<IndexPart> = {},
): Promise<void> {
  const ids = { tenantId: TENANT, timelineId: TIMELINE };
  const delta = new DeltaLayerBuilder({ ...ids, keyStart: KEY_MIN, lsnStart: lsn(SNAPSHOT_LSN + 1n) });
  for (const [key, value] of values) delta.append({ key, lsn: LATER_LSN, value, willInit: false });
  const layer = delta.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(LATER_LSN + 1n) });
  await storage.put(
    layerObjectKey({ ...ids, generation: 2, layerName: layer.name }),
    Buffer.concat(layer.chunks),
  );
  const { index: old } = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
  await putIndex(storage, {
    ...old,
    layers: new Map([...old.layers, [layer.name, { fileSize: layer.sizeBytes, generation: 2 }]]),
    diskConsistentLsn: LATER_LSN,
    metadata: { ...old.metadata, diskConsistentLsn: LATER_LSN },
    ...index,
  });
}

async function putIndex(storage: Storage, index: IndexPart): Promise<void> {
  const tenant = { tenantId: TENANT, shard: UNSHARDED };
  await storage.put(indexObjectKey({ tenant, timelineId: TIMELINE, generation: 2 }), encodeIndexPart(index));
}

describe('a sound timeline', () => {
  test.each(LEVELS)('has nothing to find at level %s', async (level) => {
    await using storage = await sound();
    const report = await verify(storage, level);
    expect(report).toMatchObject({ findings: [], errorCount: 0, warningCount: 0 });
    expect(report.counts).toMatchObject({ timelines: 1, orphans: 0 });
    if (level === 'hash') expect(report.counts.values).toBeGreaterThan(80);
    // 70 + 1 + 3 + 1 pages of relations, 2 + 1 + 1 of SLRUs.
    if (level === 'pages') expect(report.counts).toMatchObject({ pages: 75, slruPages: 4, redone: 0 });
  });

  test('is not there under another id', async () => {
    await using storage = await sound();
    const refused = { code: 'FORMAT_NOT_FOUND' };
    await expect(verify(storage, 'meta', { ...IDS, timeline_id: 'c'.repeat(32) })).rejects.toMatchObject(
      refused,
    );
    await expect(verify(createMemoryStorage(), 'meta')).rejects.toMatchObject(refused);
  });
});

describe('level meta finds', () => {
  test('a layer that is missing, and one of another size', async () => {
    await using storage = await sound();
    const key = await layerKey(storage);
    const bytes = await bytesOf(storage, key);
    await storage.put(key, bytes.subarray(8192));
    expect(codes(await verify(storage, 'meta'))).toEqual(['error LAYER_SIZE']);
    await storage.delete([key]);
    const report = await verify(storage, 'meta');
    expect(report.findings).toMatchObject([{ severity: 'error', code: 'LAYER_MISSING', path: key }]);
  });

  test('objects that no index lists, as warnings', async () => {
    await using storage = await sound();
    const key = await layerKey(storage);
    await storage.put(key.replace(/-0+1$/, '-00000009'), new Uint8Array(10));
    await storage.put(key.replace(/[^/]+$/, 'notes.txt'), new Uint8Array(10));
    const report = await verify(storage, 'meta');
    expect(codes(report)).toEqual(['warning LAYER_ORPHAN', 'warning OBJECT_UNKNOWN']);
    expect(report).toMatchObject({ errorCount: 0, warningCount: 2, counts: { orphans: 2 } });
  });

  test('an index that does not parse, and a timeline without one', async () => {
    await using storage = await sound();
    const index = (await keysOf(storage)).find((key) => key.includes('index_part')) ?? '';
    await storage.put(index, new TextEncoder().encode('{"version": 12}'));
    expect(codes(await verify(storage, 'meta'))).toContain('error INDEX_INVALID');
    await storage.delete([index]);
    expect(codes(await verify(storage, 'meta'))).toContain('warning TIMELINE_INCOMPLETE');
  });

  test('an ancestor that is missing or ends before the branch, a layer of a newer generation', async () => {
    await using storage = await sound();
    const { index } = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
    const branch = { ...index.metadata, ancestorTimelineId: 'c'.repeat(32), ancestorLsn: LATER_LSN };
    const [name, layer] = [...index.layers][0] ?? ['', { fileSize: 0 }];
    const layers = new Map([...index.layers, [name, { ...layer, generation: 3 }]]);
    await putIndex(storage, { ...index, layers, metadata: branch });
    expect(codes(await verify(storage, 'meta'))).toEqual(
      expect.arrayContaining(['error ANCESTOR_MISSING', 'error LAYER_GENERATION', 'error LAYER_MISSING']),
    );
    await using other = await sound();
    await write(makeSnapshot({ files: MAPS }).reader, other, { ...IDS, tenant_id: 'd'.repeat(32) });
    const own = await loadTimeline(other, { tenant: TENANT, timelineId: TIMELINE });
    const parent = indexObjectKey({
      tenant: { tenantId: TENANT, shard: UNSHARDED },
      timelineId: 'c'.repeat(32),
      generation: 1,
    });
    await other.put(parent, encodeIndexPart({ ...own.index, layers: new Map() }));
    await putIndex(other, { ...own.index, metadata: branch });
    expect(codes(await verify(other, 'meta', { tenant_id: TENANT }))).toEqual(['error ANCESTOR_LSN']);
  });

  test('nothing in a timeline that is being deleted, but that it is', async () => {
    await using storage = await sound();
    const { index } = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
    await putIndex(storage, { ...index, deletedAt: '2026-11-24T00:00:00' });
    await storage.delete([await layerKey(storage)]);
    expect(codes(await verify(storage, 'meta'))).toEqual(['warning TIMELINE_DELETING']);
  });
});

describe('level hash finds', () => {
  test('a flipped bit in a value, and in the summary and the index of a layer', async () => {
    await using storage = await sound();
    const key = await layerKey(storage);
    const bytes = await bytesOf(storage, key);
    const damaged = async (offset: number) => {
      const copy = Uint8Array.from(bytes);
      copy[offset] = (copy[offset] ?? 0) ^ 0x40;
      await storage.put(key, copy);
      const { findings } = await verify(storage, 'hash');
      return findings.map(({ code, path }) => (path === key ? code : `elsewhere: ${code}`));
    };
    expect(await damaged(4)).toEqual(['LAYER_CORRUPT']);
    expect(await damaged(8192)).toEqual(['LAYER_VALUE']);
    expect(await damaged(bytes.length - 8192)).toEqual(['LAYER_CORRUPT']);
  });

  test('a WAL record whose CRC is wrong', async () => {
    await using storage = await sound();
    const record = encodeWalRecord(
      { xid: 1, previous: SNAPSHOT_LSN, info: 0, resourceManager: 10 },
      Uint8Array.of(255, 1, 7),
    );
    const value = (bytes: Uint8Array) =>
      encodeValue({ kind: 'record', record: { kind: 'postgres', willInit: false, record: bytes } });
    const damaged = Uint8Array.from(record, (byte, index) => (index === record.length - 1 ? 8 : byte));
    await addDelta(storage, [
      [relBlockKey(TAG, 3), value(record)],
      [relBlockKey(TAG, 4), value(damaged)],
    ]);
    const { findings, counts } = await verify(storage, 'hash');
    expect(counts.walRecords).toBe(2);
    expect(findings).toMatchObject([{ code: 'LAYER_VALUE', message: expect.stringContaining('block 4') }]);
  });
});

describe('level pages finds', () => {
  test('pages that a size promises and no layer has', async () => {
    await using storage = await sound();
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, 73, true);
    await addDelta(storage, [[relSizeKey(TAG), encodeValue({ kind: 'image', image: size })]]);
    const { findings } = await verify(storage, 'pages');
    expect(findings).toMatchObject([
      {
        code: 'PAGE_MISSING',
        path: 'base/5/1259',
        message: 'base/5/1259 has 73 blocks by its size, and no layer has block 70 and the 2 after it',
      },
    ]);
  });

  test('a page of the import whose checksum is wrong, and one with no header', async () => {
    const pages = makePages(70);
    pages[5 * 8192 + 8000] = (pages[5 * 8192 + 8000] ?? 0) ^ 1;
    pages.fill(0xff, 9 * 8192, 9 * 8192 + 24);
    await using storage = createMemoryStorage();
    await write(makeSnapshot({ files: { ...MAPS, 'base/5/1259': pages } }).reader, storage, {
      ...IDS,
      ignore_page_errors: true,
    });
    const report = await verify(storage, 'pages');
    expect(codes(report)).toEqual(['error PAGE_CHECKSUM', 'error PAGE_HEADER']);
    expect(report.findings.map(({ message }) => message.slice(0, 24))).toEqual([
      'block 5 of base/5/1259: ',
      'block 9 of base/5/1259 i',
    ]);
  });

  test('no checksum on a page that Neon wrote later, but still on those of the import', async () => {
    const pages = makePages(70);
    pages[5 * 8192 + 8000] = (pages[5 * 8192 + 8000] ?? 0) ^ 1;
    await using storage = createMemoryStorage();
    await write(makeSnapshot({ files: { ...MAPS, 'base/5/1259': pages } }).reader, storage, {
      ...IDS,
      ignore_page_errors: true,
    });
    const later = makePages(1, { firstBlock: 40 });
    // pd_lsn, high half first; no valid checksum any more.
    new DataView(later.buffer).setUint32(4, Number(LATER_LSN), true);
    await addDelta(storage, [[relBlockKey(TAG, 2), encodeValue({ kind: 'image', image: later })]]);
    const { findings } = await verify(storage, 'pages');
    expect(findings.map(({ message }) => message.slice(0, 24))).toEqual(['block 5 of base/5/1259: ']);
  });

  test('each value that cannot be read, and goes on behind it', async () => {
    await using storage = await sound();
    const key = await layerKey(storage);
    const bytes = await bytesOf(storage, key);
    // No kind of blob begins with this byte: the first value is a directory, so nothing can be said of the rest.
    bytes[8192] = 0xff;
    await storage.put(key, bytes);
    const report = await verify(storage, 'pages');
    expect(codes(report)).toEqual(['error CONTENTS_INVALID']);
  });

  test('a page that cannot be read among those that can', async () => {
    await using storage = await sound();
    const wrongSize = encodeValue({ kind: 'image', image: new Uint8Array(100) });
    await addDelta(storage, [
      [relBlockKey(TAG, 3), wrongSize],
      [relBlockKey(TAG, 60), wrongSize],
    ]);
    const report = await verify(storage, 'pages');
    expect(codes(report)).toEqual(['error VALUE_UNREADABLE', 'error VALUE_UNREADABLE']);
    expect(report.counts.pages).toBe(73);
  });

  test('records that redo refuses', async () => {
    await using storage = await sound();
    const record = encodeWalRecord(
      { xid: 1, previous: SNAPSHOT_LSN, info: 0xf0, resourceManager: 14 },
      Uint8Array.of(0, 0, 0, 0, ...u32(1663), ...u32(5), ...u32(1259), ...u32(3), 255, 1, 7),
    );
    const value = encodeValue({ kind: 'record', record: { kind: 'postgres', willInit: false, record } });
    await addDelta(storage, [[relBlockKey(TAG, 3), value]]);
    const report = await verify(storage, 'pages');
    expect(codes(report)).toEqual(['error REDO_FAILED']);
    expect(report.counts).toMatchObject({ redone: 0, redoFailed: 1, pages: 74 });
  });

  test('a checkpoint that does not decode', async () => {
    await using storage = await sound();
    const value = encodeValue({ kind: 'image', image: new Uint8Array(8) });
    await addDelta(storage, [[CHECKPOINT_KEY, value]]);
    expect(codes(await verify(storage, 'pages'))).toEqual(['error CONTENTS_INVALID']);
  });
});

describe.runIf(HAS_SAMPLES)(`buckets of a real page server${SAMPLES_NOTE}`, () => {
  test.each(['pg14', 'pg17'])(
    '%s: every value decodes, every key is made, every page is one',
    async (name) => {
      await using storage = await sampleStorage(name);
      for (const level of ['hash', 'pages'] as const) {
        const report = await verify(storage, level);
        expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
        if (name === 'pg17' && level === 'pages') expect(report.counts.redone).toBeGreaterThan(1000);
      }
    },
  );
});

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

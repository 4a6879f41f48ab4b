import { type SnapshotEntry, withEnd } from '@neon-snapshot/format-core';
import { BLCKSZ, parseBackupManifest } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { copyDirectory, memoryServices, readContext, readStorage, writeContext } from './testing/contexts.ts';
import { makePages, makeTinyCluster } from './testing/tiny-cluster.ts';

async function openTinyReader() {
  const { storage } = await makeTinyCluster();
  return plugin.openReader(readContext({ storage }));
}

describe('a directory written to an object store', () => {
  test('has every file of the source, byte for byte, and the markers of all directories', async () => {
    const from = await makeTinyCluster();
    const storage = createMemoryStorage();
    await copyDirectory({ storage: from.storage }, { storage });
    const [source, copy] = await Promise.all([readStorage(from.storage), readStorage(storage)]);
    await using reader = await plugin.openReader(readContext({ storage: from.storage }));
    for (const { path } of [...(reader.plan ?? []), { path: 'global/pg_control' }]) {
      expect([path, copy.get(path)?.equals(source.get(path) ?? Buffer.alloc(0))]).toEqual([path, true]);
    }
    for (const marker of ['pg_notify/', 'pg_wal/summaries/', 'pg_tblspc/16500/PG_17_202406281/5/']) {
      expect(copy.has(marker)).toBe(true);
    }
    expect(copy.has('base/5/t3_16410')).toBe(false);
  });

  test('can be read again, as the same snapshot', async () => {
    const from = await makeTinyCluster();
    const storage = createMemoryStorage();
    await copyDirectory({ storage: from.storage }, { storage });
    await using before = await plugin.openReader(readContext({ storage: from.storage }));
    await using after = await plugin.openReader(readContext({ storage }));
    const features = { ...before.info.features, replicationSlots: [] };
    expect(after.info).toEqual({ ...before.info, features, bytesTotal: after.info.bytesTotal });
    const paths = (before.plan ?? []).map(({ path }) => path);
    expect(after.plan?.map(({ path }) => path).toSorted()).toEqual(
      [...paths, 'pg_hba.conf', 'pg_ident.conf'].toSorted(),
    );
  });

  test('has unlogged relations with their init fork as the main fork, small and large', async () => {
    const large = makePages(300, { seed: 70 });
    const { storage: source } = await makeTinyCluster({ files: { 'base/5/16403_init': large } });
    const storage = createMemoryStorage();
    await copyDirectory({ storage: source }, { storage });
    const copy = await readStorage(storage);
    expect(copy.get('base/5/16402')?.equals(makePages(1, { seed: 7 }))).toBe(true);
    expect(copy.get('base/5/16402_init')?.equals(makePages(1, { seed: 7 }))).toBe(true);
    expect(copy.has('base/5/16402_fsm')).toBe(false);
    expect(copy.get('base/5/16403')?.equals(large)).toBe(true);
  });

  test.each([
    [16, 1],
    [17, 2],
  ])('of major %i has a manifest of version %i with every file but WAL', async (major, version) => {
    const from = await makeTinyCluster({ major });
    const storage = createMemoryStorage();
    await copyDirectory({ storage: from.storage }, { storage });
    const copy = await readStorage(storage);
    const manifest = parseBackupManifest(copy.get('backup_manifest') ?? new Uint8Array());
    expect(manifest.version).toBe(version);
    const listed = [...copy.keys()].filter((key) => !/^pg_wal\/|\/$|^backup_manifest$/.test(key));
    expect(manifest.files.map(({ path }) => path)).toEqual(listed.toSorted());
    for (const file of manifest.files) expect(file.size).toBe(copy.get(file.path)?.length);
    expect(manifest.walRanges).toEqual([
      { timeLineId: 1, startLsn: from.recordStart, endLsn: from.recordEnd },
    ]);
    // pg_control's CRC is part of what is summed, so that its sum is the same for every cluster (of a layout).
    const control = manifest.files.find(({ path }) => path === 'global/pg_control');
    expect(control?.checksum).toEqual({ algorithm: 'CRC32C', hex: '43872087' });
  });

  test('gets a configuration that starts and lets nobody in without a password, where the source has none', async () => {
    const from = await makeTinyCluster();
    await from.storage.delete(['postgresql.conf']);
    const storage = createMemoryStorage();
    const { services, warnings } = memoryServices();
    await copyDirectory({ storage: from.storage }, { storage, services });
    const copy = await readStorage(storage);
    expect(copy.get('postgresql.conf')?.toString()).toContain('max_prepared_transactions = 7\n');
    expect(copy.get('pg_hba.conf')?.toString()).not.toContain('trust');
    expect(warnings).toHaveLength(3);
  });
});

describe('a destination', () => {
  test('that has anything in it is refused before anything is written', async () => {
    await using reader = await openTinyReader();
    const storage = createMemoryStorage();
    await storage.put('lost+found/', new Uint8Array(0));
    await expect(plugin.openWriter(writeContext({ storage }, reader))).rejects.toMatchObject({
      code: 'FORMAT_NOT_EMPTY',
      message: expect.stringContaining('lost+found/'),
    });
  });

  test('is left as it was found when the copy is aborted, at whatever entry', async () => {
    for (let filesBefore = 0; filesBefore < 14; filesBefore += 3) {
      const from = await makeTinyCluster();
      const storage = createMemoryStorage();
      const controller = new AbortController();
      let files = 0;
      await using reader = await plugin.openReader(readContext({ storage: from.storage }));
      const writer = await plugin.openWriter(writeContext({ storage }, reader));
      const [partition] = reader.partitions(1);
      async function* interrupted(): AsyncGenerator<SnapshotEntry> {
        for await (const entry of partition?.entries ?? []) {
          if (entry.kind === 'file' && files++ === filesBefore) controller.abort();
          controller.signal.throwIfAborted();
          yield entry;
        }
      }
      await expect(writer.writePartition({ id: '0', entries: interrupted() })).rejects.toThrow();
      await writer.abort();
      await writer.abort();
      expect([...(await readStorage(storage)).keys()]).toEqual([]);
    }
  });

  test('has no pg_control before close, so that an interrupted copy is no data directory', async () => {
    await using reader = await openTinyReader();
    const storage = createMemoryStorage();
    const writer = await plugin.openWriter(writeContext({ storage }, reader));
    for (const partition of reader.partitions(2)) await writer.writePartition(partition);
    expect((await plugin.detect(storage)).found).toBe(false);
    await writer.close(await reader.finish());
    expect((await plugin.detect(storage)).found).toBe(true);
  });

  test('in an object store takes no tablespace mapping', async () => {
    await using reader = await openTinyReader();
    const options = { tablespace_mapping: ['/old=/new'] };
    const opening = plugin.openWriter(writeContext({ storage: createMemoryStorage(), options }, reader));
    await expect(opening).rejects.toMatchObject({ code: 'FORMAT_OPTION' });
  });
});

describe('a stream', () => {
  async function write(...entries: Exclude<SnapshotEntry, { kind: 'end' }>[]) {
    await using reader = await openTinyReader();
    const storage = createMemoryStorage();
    const writer = await plugin.openWriter(writeContext({ storage }, reader));
    async function* all() {
      yield* entries;
    }
    await writer.writePartition({ id: '0', entries: withEnd(all()) });
  }

  function file(path: string): Exclude<SnapshotEntry, { kind: 'end' }> {
    async function* body() {
      yield makePages(1, { seed: 1 });
    }
    return { kind: 'file', path, sizeBytes: BLCKSZ, body: body() };
  }

  test('with the same file twice is refused', async () => {
    await expect(write(file('base/5/1'), file('base/5/1'))).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
  });

  test('with the main fork of an unlogged relation is refused', async () => {
    await expect(write(file('base/5/1'), file('base/5/1_init'))).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
      message: expect.stringContaining('base/5/1 twice'),
    });
  });

  test('with a manifest, or a link to an unknown tablespace, is refused', async () => {
    await expect(write(file('backup_manifest'))).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    await expect(write({ kind: 'link', path: 'pg_tblspc/99', target: '/x' })).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
    });
  });
});

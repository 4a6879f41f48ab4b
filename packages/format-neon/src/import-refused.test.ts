import { listTimelines } from '@neon-snapshot/neon-layer';
import { createFaultyStorage } from '@neon-snapshot/storage-conformance';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
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
  type MadeUpOptions,
  makePages,
  makeSnapshot,
  PREVIOUS_LSN,
  SNAPSHOT_LSN,
  SYSTEM_IDENTIFIER,
} from './testing/made-up-snapshot.ts';
import { watchPuts } from './testing/watched-storage.ts';

describe('an import that cannot be held', () => {
  test.each<[string, MadeUpOptions, string]>([
    ['major 18', { info: { postgresMajor: 18, catalogVersion: 202506291 } }, 'FORMAT_UNSUPPORTED'],
    ['blocks of 16 KiB', { info: { blockSizeBytes: 16384 } }, 'FORMAT_UNSUPPORTED'],
    ['WAL segments of 64 MiB', { info: { walSegmentSizeBytes: 2 ** 26 } }, 'FORMAT_UNSUPPORTED'],
    ['a tablespace', { info: { tablespaces: [{ oid: 16400, location: '/srv/t' }] } }, 'FORMAT_UNSUPPORTED'],
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

  test('of a base backup without its backup_label is refused, and nothing is left', async () => {
    const consistency = { kind: 'needs-wal', fromLsn: PREVIOUS_LSN, upToLsn: SNAPSHOT_LSN } as const;
    const storage = createMemoryStorage();
    const writing = write(makeSnapshot({ info: { consistency } }).reader, storage);
    await expect(writing).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
      message: expect.stringMatching(/backup_label/),
    });
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

  test('by any failed put up to the index leaves nothing; later ones do not matter', async () => {
    const puts: string[] = [];
    await write(
      makeSnapshot().reader,
      watchPuts(createMemoryStorage(), (key) => puts.push(key)),
    );
    const indexNth = puts.findIndex((key) => key.includes('index_part')) + 1;
    for (let nth = 1; nth <= puts.length; nth += 1) {
      const inner = createMemoryStorage();
      const fault = { kind: 'error', code: 'STORAGE_NO_SPACE' } as const;
      const storage = createFaultyStorage(inner, { plan: [{ verb: 'put', nth, fault }] });
      const outcome = await write(makeSnapshot().reader, storage).catch((error: unknown) => error);
      expect(storage.pendingFaults()).toEqual([]);
      if (nth > indexNth) expect((await readFiles(inner)).has('base/5/1259')).toBe(true);
      else {
        expect(outcome).toMatchObject({ code: 'STORAGE_NO_SPACE' });
        expect(await keysOf(inner), `put ${nth}`).toEqual([]);
      }
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

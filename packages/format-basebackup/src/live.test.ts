import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { copySnapshot, describeSource, type SnapshotReader } from '@neon-snapshot/format-core';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { type PostgresServer, startPostgres } from '@neon-snapshot/postgres-process';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import {
  createDirectory,
  giveToServer,
  makeScratch,
  openDirectory,
  type Scratch,
} from './testing/scratch.ts';

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

function addressOf(server: PostgresServer, more = ''): string {
  return `host=${server.socketDirectory} port=${server.port} user=${server.superuser}${more}`;
}

async function openLive(server: string, options = {}): Promise<SnapshotReader> {
  if (plugin.openLiveReader === undefined) throw new Error('no live reader');
  return plugin.openLiveReader({ server, env: {}, options, services: scratch.services, concurrency: 2 });
}

/** A backup of a running server into a storage. */
async function takeInto(
  target: { readonly format: typeof plugin; readonly path: string },
  server: string,
  { concurrency = 2, options = {} } = {},
) {
  await using reader = await openLive(server, options);
  const writer = await target.format.openWriter({
    storage: await createDirectory(target.path),
    options: {},
    services: scratch.services,
    concurrency,
    source: describeSource(reader, 'basebackup'),
  });
  return await copySnapshot({ reader, writer, concurrency });
}

/** Writes rows until it is disposed of. */
async function startLoad(server: PostgresServer): Promise<AsyncDisposable & { rows(): Promise<number> }> {
  await server.query('CREATE TABLE load (id bigserial PRIMARY KEY, text text)');
  let isOn = true;
  let rows = 0;
  const running = (async () => {
    while (isOn) {
      await server.query(`INSERT INTO load (text) SELECT repeat('x', 500) FROM generate_series(1, 200)`);
      rows += 200;
    }
  })();
  return {
    async rows() {
      return rows;
    },
    async [Symbol.asyncDispose]() {
      isOn = false;
      await running;
    },
  };
}

describe.each(process.env.CI === undefined ? [14, 18] : [14, 15, 16, 17, 18])(
  'a running Postgres %i',
  (major) => {
    test('under load is backed up to tars, and what comes out of them recovers by itself', {
      timeout: 120_000,
    }, async () => {
      await using cluster = await makeTestCluster({ major, dataChecksums: true });
      const [tars, restored] = [scratch.newPath(), scratch.newPath()];
      let before = 0;
      {
        await using server = await startPostgres({ ...cluster });
        await using load = await startLoad(server);
        while ((await load.rows()) < 1000) await server.query('SELECT pg_sleep(0.01)');
        before = await load.rows();
        await takeInto({ format: plugin, path: tars }, addressOf(server));
      }
      expect((await readdir(tars)).sort()).toEqual(['backup_manifest', 'base.tar.zst', 'pg_wal.tar.zst']);
      await scratch.copy(
        { format: 'basebackup', storage: await openDirectory(tars) },
        { format: 'pgdata', storage: await createDirectory(restored) },
      );
      {
        await using server = await startPostgres({ ...cluster, dataDirectory: restored });
        const [row] = await server.query('SELECT count(*) AS count, max(id) AS max FROM load');
        expect(Number(row?.count)).toBeGreaterThanOrEqual(before);
        await server.query('DROP TABLE load');
        await server.stop('fast');
      }
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: restored, expected, recovered: true })).toEqual([]);
    });
  },
);

describe('a running server', () => {
  test('with a tablespace goes straight to a data directory, one partition at a time', {
    timeout: 60_000,
  }, async () => {
    await using cluster = await makeTestCluster({ major: 17, dataChecksums: true, timeLineId: 2 });
    const [location, moved, restored] = [scratch.newPath(), scratch.newPath(), scratch.newPath()];
    await mkdir(location, { mode: 0o700 });
    await giveToServer(location);
    {
      await using server = await startPostgres({ ...cluster });
      await server.query(`CREATE TABLESPACE away LOCATION '${location}'`);
      await server.query('CREATE TABLE far TABLESPACE away AS SELECT generate_series(1, 5000) AS id');
      await using reader = await openLive(addressOf(server));
      const writer = await pgdata.openWriter({
        storage: await createDirectory(restored),
        options: { tablespace_mapping: [`${location}=${moved}`] },
        services: scratch.services,
        concurrency: 1,
        source: describeSource(reader, 'basebackup'),
      });
      await copySnapshot({ reader, writer, concurrency: 1 });
      expect(await server.query('SELECT count(*) FROM pg_replication_slots')).toEqual([{ count: '1' }]);
      await server.stop('fast');
    }
    await giveToServer(moved);
    await giveToServer(restored);
    expect(await readdir(join(restored, 'pg_wal'))).toContain('00000002.history');
    await using server = await startPostgres({ ...cluster, dataDirectory: restored });
    expect(await server.query('SELECT sum(id) FROM far')).toEqual([{ sum: '12502500' }]);
    await server.stop('fast');
  });

  /** 14 and later ones differ. */
  const standbyMajors = process.env.CI === undefined ? [14] : [14, 15, 16, 17, 18];
  test.each(standbyMajors)(
    'that is a standby is backed up too: Postgres %i',
    {
      timeout: 60_000,
    },
    async (major) => {
      await using cluster = await makeTestCluster({ major, dataChecksums: true });
      const [standby, tars, restored] = [scratch.newPath(), scratch.newPath(), scratch.newPath()];
      {
        await using primary = await startPostgres({ ...cluster });
        await takeInto({ format: pgdata, path: standby }, addressOf(primary));
        await writeFile(join(standby, 'standby.signal'), '');
        await appendFile(
          join(standby, 'postgresql.auto.conf'),
          `primary_conninfo = '${addressOf(primary)}'\n`,
        );
        await giveToServer(standby);
        await using server = await startPostgres({ ...cluster, dataDirectory: standby });
        await primary.query('CREATE TABLE late AS SELECT generate_series(1, 1000) AS id');
        const [row] = await primary.query('SELECT pg_current_wal_lsn() AS lsn');
        const seen = `SELECT pg_last_wal_replay_lsn() >= '${row?.lsn}' AS seen`;
        while ((await server.query(seen))[0]?.seen !== 't') await server.query('SELECT pg_sleep(0.01)');
        await takeInto({ format: plugin, path: tars }, addressOf(server));
        await server.stop('fast');
        await primary.stop('fast');
      }
      await scratch.copy(
        { format: 'basebackup', storage: await openDirectory(tars) },
        { format: 'pgdata', storage: await createDirectory(restored) },
      );
      expect(await readFile(join(restored, 'backup_label'), 'utf8')).toContain('BACKUP FROM: standby');
      await rm(join(restored, 'standby.signal'), { force: true });
      await giveToServer(restored);
      {
        await using server = await startPostgres({ ...cluster, dataDirectory: restored });
        expect(await server.query('SELECT sum(id) FROM late')).toEqual([{ sum: '500500' }]);
        await server.query('DROP TABLE late');
        await server.stop('fast');
      }
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: restored, expected, recovered: true })).toEqual([]);
    },
  );

  test('that goes away ends the copy, and nothing is visible', { timeout: 60_000 }, async () => {
    await using cluster = await makeTestCluster({ major: 16, scale: 100 });
    await using server = await startPostgres({ ...cluster });
    await using reader = await openLive(addressOf(server));
    const storage = createMemoryStorage();
    const writer = await plugin.openWriter({
      storage,
      options: {},
      services: scratch.services,
      concurrency: 2,
      source: describeSource(reader, 'basebackup'),
    });
    const onProgress = () => void server.stop('immediate').catch(() => undefined);
    const copying = copySnapshot({ reader, writer, concurrency: 2, onProgress });
    await expect(copying).rejects.toMatchObject({ code: 'FORMAT_SERVER' });
    for await (const { objects } of storage.list()) expect(objects).toEqual([]);
  });

  test('that lets nobody replicate says why', { timeout: 60_000 }, async () => {
    await using cluster = await makeTestCluster({ major: 15 });
    {
      await using server = await startPostgres({ ...cluster, listen: 'loopback' });
      await server.query(`CREATE ROLE plain LOGIN PASSWORD 'right'`);
      const tcp = `host=127.0.0.1 port=${server.port} user=plain`;
      await expect(openLive(`${tcp} password=wr0ng-s3cret`)).rejects.toMatchObject({
        code: 'FORMAT_SERVER',
        context: { pqCode: 'PQ_AUTHENTICATION' },
        message: expect.not.stringContaining('wr0ng-s3cret'),
      });
      await expect(openLive(`${tcp} password=right`)).rejects.toMatchObject({
        code: 'FORMAT_SERVER',
        context: { pqCode: 'PQ_NO_PRIVILEGE' },
      });
      await expect(openLive(addressOf(server), { checkpoint: 'soon' })).rejects.toMatchObject({
        code: 'FORMAT_OPTION',
      });
      await server.stop('fast');
    }
    const limits = [
      [{ wal_level: 'minimal', max_wal_senders: 0 }, 'PQ_WAL_LEVEL'],
      [{ max_wal_senders: 1 }, 'PQ_TOO_MANY_CONNECTIONS'],
      [{ max_replication_slots: 0 }, 'PQ_SERVER'],
    ] as const;
    for (const [settings, pqCode] of limits) {
      await using server = await startPostgres({ ...cluster, settings });
      await expect(openLive(addressOf(server))).rejects.toMatchObject({
        code: 'FORMAT_SERVER',
        context: { pqCode },
      });
      await server.stop('fast');
    }
  });
});

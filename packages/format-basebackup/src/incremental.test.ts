import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { startPostgres, tableChecksums } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createDirectory,
  giveToServer,
  makeScratch,
  openDirectory,
  type Scratch,
} from './testing/scratch.ts';
import { takeTars } from './testing/take-tars.ts';

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe.each([17, 18])('incremental backups of Postgres %i', (major) => {
  test('are combined while they are read, from plain and from compressed parents', {
    timeout: 180_000,
  }, async () => {
    await using cluster = await makeTestCluster({ major, dataChecksums: true, scale: 20 });
    const [full, first, second] = [scratch.newPath(), scratch.newPath(), scratch.newPath()];
    const [location, moved] = [scratch.newPath(), scratch.newPath()];
    await mkdir(location, { mode: 0o700 });
    await giveToServer(location);
    let checksums: unknown;
    {
      const settings = { summarize_wal: true };
      await using server = await startPostgres({ ...cluster, settings });
      await server.query(`CREATE TABLESPACE away LOCATION '${location}'`);
      await server.query('CREATE TABLE far (id int, text text) TABLESPACE away');
      await server.query(`INSERT INTO far SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i`);
      await server.query('CREATE TABLE seen AS SELECT generate_series(1, 1000) AS id');
      await server.query('CREATE INDEX ON seen (id)');
      await server.query(
        'CREATE TABLE cut AS SELECT i AS id, md5(i::text) AS m FROM generate_series(1, 50000) i',
      );
      await server.query('CREATE TABLE gone AS SELECT generate_series(1, 1000) AS id');
      await server.query('VACUUM FREEZE seen');
      await takeTars(server, await createDirectory(full));
      await server.query('UPDATE far SET text = text || id WHERE id % 1000 = 0');
      await server.query('DELETE FROM seen WHERE id <= 500');
      await server.query('DELETE FROM cut WHERE id > 100');
      await server.query('VACUUM cut');
      await takeTars(server, await createDirectory(first), { incrementalTo: await openDirectory(full) });
      await server.query(`INSERT INTO cut SELECT i, 'again' FROM generate_series(1, 30000) i`);
      await server.query('UPDATE far SET text = id::text WHERE id BETWEEN 5000 AND 5100');
      await server.query('DROP TABLE gone');
      await server.query('CREATE TABLE fresh AS SELECT generate_series(1, 5000) AS id');
      await takeTars(server, await createDirectory(second), { incrementalTo: await openDirectory(first) });
      checksums = await tableChecksums(server);
      await server.stop('immediate');
    }
    const compressed = scratch.newPath();
    await scratch.copy(
      { format: 'basebackup', storage: await openDirectory(full) },
      {
        format: 'basebackup',
        storage: await createDirectory(compressed),
        options: { compression: 'zstd:1' },
      },
    );
    for (const parent of [full, compressed]) {
      const restored = scratch.newPath();
      await scratch.copy(
        {
          format: 'basebackup',
          storage: await openDirectory(second),
          options: { parents: [parent, first], scratch_directory: scratch.path },
        },
        {
          format: 'pgdata',
          storage: await createDirectory(restored),
          options: { tablespace_mapping: [`${location}=${moved}`] },
        },
      );
      expect(await readFile(join(restored, 'backup_label'), 'utf8')).not.toContain('INCREMENTAL');
      for (const path of [restored, moved]) await giveToServer(path);
      {
        await using server = await startPostgres({ ...cluster, dataDirectory: restored });
        expect(await tableChecksums(server)).toEqual(checksums);
        const visible =
          'SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(id) FROM seen WHERE id > 0';
        expect((await server.query(visible)).at(-1)).toEqual({ count: '500' });
        await server.query('DROP TABLE far; DROP TABLE seen; DROP TABLE cut; DROP TABLE fresh');
        await server.query('DROP TABLESPACE away');
        await server.stop('fast');
      }
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: restored, expected, recovered: true })).toEqual([]);
      await rm(moved, { recursive: true });
    }
    expect((await readdir(scratch.path)).filter((name) => name.startsWith('neon-parents'))).toEqual([]);
    const open = (parents: readonly string[]) =>
      openDirectory(second).then((storage) =>
        scratch.copy(
          { format: 'basebackup', storage, options: { parents } },
          { format: 'pgdata', storage: storage },
        ),
      );
    await expect(open([])).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
    await expect(open([full])).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    await expect(open([first, full])).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    await expect(open([first])).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
  });
});

import { chmod, chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { decodeControlFile } from '@neon-snapshot/postgres';
import { findPostgres, runAmcheck, startPostgres, unprivilegedUser } from '@neon-snapshot/postgres-process';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plugin as neon } from './plugin.ts';
import { copy } from './testing/copy.ts';
import { fixtureStorage } from './testing/neon-samples.ts';

const TEST_TIMEOUT_MS = 120_000;

let scratch = '';
let directoryCount = 0;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'neon-round-trip-'));
  await chmod(scratch, 0o755);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function openDirectory(rootPath: string): Promise<Storage> {
  return openFsStorage({ rootPath, create: true });
}

async function importCluster(dataDirectory: string): Promise<Storage> {
  const storage = createMemoryStorage();
  await using source = await openDirectory(dataDirectory);
  await copy({ format: pgdata, storage: source }, { format: neon, storage });
  return storage;
}

/** Exports to a fresh directory that the server's user owns. */
async function exportCluster(storage: Storage, options: Record<string, string> = {}): Promise<string> {
  const directory = join(scratch, `d${directoryCount++}`);
  await using destination = await openDirectory(directory);
  await copy({ format: neon, storage, options }, { format: pgdata, storage: destination });
  const user = unprivilegedUser();
  if (user !== undefined) await giveAway(directory, user);
  return directory;
}

async function giveAway(
  directory: string,
  user: { readonly uid: number; readonly gid: number },
): Promise<void> {
  const names = await readdir(directory, { recursive: true });
  for (const name of ['', ...names]) await chown(join(directory, name), user.uid, user.gid);
}

async function controlFileOf(dataDirectory: string) {
  return decodeControlFile(await readFile(join(dataDirectory, 'global/pg_control')));
}

describe('a cluster that went into layers and back', () => {
  test.each([
    { major: 14, dataChecksums: true },
    { major: 15, dataChecksums: false },
    { major: 16, dataChecksums: true },
    { major: 17, dataChecksums: false },
  ])(
    'of major $major starts and holds everything (checksums: $dataChecksums)',
    async ({ major, dataChecksums }) => {
      await using cluster = await makeTestCluster({ major, dataChecksums });
      await using storage = await importCluster(cluster.dataDirectory);
      const dataDirectory = await exportCluster(storage);
      expect(await verifyTestCluster({ dataDirectory, expected: cluster.expected })).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'keeps its configuration byte for byte and continues on the TimeLineID after its own',
    async () => {
      const hba = 'local all all trust\n# a file of its own\n';
      await using cluster = await makeTestCluster({
        major: 17,
        dataChecksums: true,
        timeLineId: 3,
        hba,
        configuration: "work_mem = '5MB'\n",
      });
      await using storage = await importCluster(cluster.dataDirectory);
      const dataDirectory = await exportCluster(storage);
      for (const name of ['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf']) {
        expect(await readFile(join(dataDirectory, name), 'utf8'), name).toBe(
          await readFile(join(cluster.dataDirectory, name), 'utf8'),
        );
      }
      const control = await controlFileOf(dataDirectory);
      expect(control.checkPointCopy.thisTimeLineId).toBe(4);
      const history = await readFile(join(dataDirectory, 'pg_wal/00000004.history'), 'utf8');
      expect(history).toMatch(
        /^1\t0\/[0-9A-F]+\t.*\n+2\t0\/[0-9A-F]+\t.*\n+3\t0\/[0-9A-F]+\texported by neon\n$/,
      );
      expect(await verifyTestCluster({ dataDirectory, expected: cluster.expected })).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'stays on its own TimeLineID where that is asked for',
    async () => {
      await using cluster = await makeTestCluster({ major: 16, timeLineId: 2, scale: 1 });
      await using storage = await importCluster(cluster.dataDirectory);
      const dataDirectory = await exportCluster(storage, { timeline_id_mode: 'original' });
      const control = await controlFileOf(dataDirectory);
      expect(control.checkPointCopy).toMatchObject({
        thisTimeLineId: 2,
        prevTimeLineId: 2,
        oldestActiveXid: 0,
      });
      expect(await verifyTestCluster({ dataDirectory, expected: cluster.expected })).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );
});

test(
  'a timeline that a real page server made by its own initdb starts under stock Postgres',
  async () => {
    await using storage = await fixtureStorage();
    const dataDirectory = await exportCluster(storage);
    const installation = await findPostgres({ major: 17 });
    await using server = await startPostgres({ installation, dataDirectory, superuser: 'cloud_admin' });
    const rows = await server.query('CREATE TABLE t AS SELECT 1 AS a; SELECT a FROM t', {
      database: 'postgres',
    });
    expect(rows).toEqual([{ a: '1' }]);
    expect((await runAmcheck(server)).problems).toEqual([]);
  },
  TEST_TIMEOUT_MS,
);

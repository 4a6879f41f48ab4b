import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  unlink,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeTestCluster, type TestClusterOptions, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { copySnapshot, createFormatServices, type FormatServices } from '@neon-snapshot/format-core';
import {
  findPostgres,
  type PostgresServer,
  recoverDataDirectory,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import type { Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { copyDirectory, readContext, writeContext } from './testing/contexts.ts';

const run = promisify(execFile);
const VERIFY_BACKUP = '/usr/lib/postgresql/15/bin/pg_verifybackup';
const verifyBackupNote = existsSync(VERIFY_BACKUP) ? '' : ' (pg_verifybackup is not installed: not run)';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'neon-pgdata-'));
  await chmod(scratch, 0o755);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

let directoryCount = 0;
function newPath(): string {
  return join(scratch, `d${directoryCount++}`);
}

function openRead(rootPath: string): Promise<Storage> {
  return openFsStorage({ rootPath });
}

function openWrite(rootPath: string): Promise<Storage> {
  return openFsStorage({ rootPath, create: true });
}

const services: FormatServices = createFormatServices({
  openStorage: (url, { access }) => (access === 'read' ? openRead(url) : openWrite(url)),
  recover: async ({ dataDirectory, postgresMajor, signal }) =>
    recoverDataDirectory({
      dataDirectory,
      installation: await findPostgres({ major: postgresMajor }),
      scratchDirectory: scratch,
      signal,
    }),
  warn: () => undefined,
});

async function exportTo(target: string, source: string, options = {}, writeOptions = {}): Promise<void> {
  const from = { storage: await openRead(source), services, options };
  await copyDirectory(from, { storage: await openWrite(target), services, options: writeOptions });
}

async function openDirectory(path: string, options = {}) {
  return plugin.openReader(readContext({ storage: await openRead(path), services, options }));
}

async function withCluster(
  options: TestClusterOptions,
  use: (dataDirectory: string, cluster: Awaited<ReturnType<typeof makeTestCluster>>) => Promise<void>,
): Promise<void> {
  await using cluster = await makeTestCluster(options);
  await use(cluster.dataDirectory, cluster);
}

async function assertModes(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const { mode } = await lstat(join(entry.parentPath, entry.name));
    if (entry.isSymbolicLink()) continue;
    expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600]);
  }
}

describe('a stopped cluster copied as a snapshot', () => {
  test.each([
    [15, ['-e']],
    [17, []],
    [16, ['-e', '-n']],
    [14, ['-e', '-n']],
    [18, []],
  ])(
    `starts under stock Postgres %i with everything in it${verifyBackupNote}`,
    async (major, verifyFlags) => {
      await withCluster({ major, dataChecksums: true }, async (dataDirectory, { expected }) => {
        const target = newPath();
        await using reader = await openDirectory(dataDirectory);
        await exportTo(target, dataDirectory);
        for (const { path } of [...(reader.plan ?? []), { path: 'global/pg_control' }]) {
          const [before, after] = await Promise.all([
            readFile(join(dataDirectory, path)),
            readFile(join(target, path)),
          ]);
          expect([path, before.equals(after)]).toEqual([path, true]);
        }
        expect((await stat(target)).mode & 0o777).toBe(0o700);
        await assertModes(target);
        if (verifyFlags.length > 0 && verifyBackupNote === '')
          await run(VERIFY_BACKUP, [...verifyFlags, target]);
        expect(await verifyTestCluster({ dataDirectory: target, expected })).toEqual([]);
      });
    },
  );

  test('whose pg_wal lies elsewhere is read through the link, and has it inside afterwards', async () => {
    await withCluster({ major: 17 }, async (dataDirectory, { expected }) => {
      const [target, wal] = [newPath(), newPath()];
      await rename(join(dataDirectory, 'pg_wal'), wal);
      await symlink(wal, join(dataDirectory, 'pg_wal'));
      await exportTo(target, dataDirectory);
      expect((await lstat(join(target, 'pg_wal'))).isDirectory()).toBe(true);
      expect(await verifyTestCluster({ dataDirectory: target, expected })).toEqual([]);
    });
  });

  test('leaves an empty directory when it is interrupted midway', async () => {
    await withCluster({ major: 17 }, async (dataDirectory) => {
      const target = newPath();
      const [from, to] = [await openRead(dataDirectory), await openWrite(target)];
      const controller = new AbortController();
      await using reader = await plugin.openReader(readContext({ storage: from, services }));
      const writer = await plugin.openWriter(writeContext({ storage: to, services }, reader));
      const copying = copySnapshot({
        reader,
        writer,
        concurrency: 4,
        signal: controller.signal,
        onProgress: ({ filesDone }) => {
          if (filesDone === 300) controller.abort();
        },
      });
      await expect(copying).rejects.toMatchObject({ code: 'FORMAT_ABORTED' });
      expect(await readdir(target)).toEqual([]);
    });
  });

  test('on a later timeline keeps its history', async () => {
    await withCluster({ major: 17, timeLineId: 2 }, async (dataDirectory, { expected }) => {
      const target = newPath();
      await exportTo(target, dataDirectory);
      expect(await readdir(join(target, 'pg_wal'))).toContain('00000002.history');
      expect(await verifyTestCluster({ dataDirectory: target, expected })).toEqual([]);
    });
  });
});

describe('a directory that is no snapshot', () => {
  test('because the server runs is refused, and because it was killed until it is recovered', async () => {
    await withCluster({ major: 17, shutdown: 'kill' }, async (dataDirectory, { expected, installation }) => {
      await expect(openDirectory(dataDirectory)).rejects.toMatchObject({
        code: 'FORMAT_NOT_SHUT_DOWN',
        message: expect.stringMatching(/"in production".*--recover/),
      });
      const target = newPath();
      await exportTo(target, dataDirectory, { recover: true });
      expect(await verifyTestCluster({ dataDirectory: target, expected, recovered: true })).toEqual([]);
      await using server = await startPostgres({ installation, dataDirectory });
      await expect(openDirectory(dataDirectory, { recover: true })).rejects.toMatchObject({
        code: 'FORMAT_RUNNING',
        message: expect.stringMatching(/postmaster.pid names process \d+; stop it/),
      });
      await server.stop('fast');
    });
  });

  test('because a page is corrupt is reported exactly, and the destination stays empty', async () => {
    await withCluster({ major: 17, dataChecksums: true }, async (dataDirectory) => {
      await using reader = await openDirectory(dataDirectory);
      const big = reader.plan
        ?.toSorted((a, b) => b.sizeBytes - a.sizeBytes)
        .find(({ path }) => /^base\/\d+\/\d+$/.test(path));
      const path = big?.path ?? '';
      await using file = await open(join(dataDirectory, path), 'r+');
      await file.write(Buffer.from([0xff, 0xfe]), 0, 2, 7 * 8192 + 5000);
      const target = newPath();
      await expect(exportTo(target, dataDirectory)).rejects.toMatchObject({
        code: 'FORMAT_CORRUPT_PAGE',
        context: { path, blockNumber: 7 },
      });
      expect(existsSync(target) ? await readdir(target) : []).toEqual([]);
      await exportTo(target, dataDirectory, { ignore_page_errors: true });
      expect((await readFile(join(target, path))).equals(await readFile(join(dataDirectory, path)))).toBe(
        true,
      );
    });
  });
});

describe('tablespaces', () => {
  async function makeTablespace(server: PostgresServer, location: string): Promise<void> {
    await mkdir(location, { mode: 0o700 });
    const user = unprivilegedUser();
    if (user !== undefined) await run('chown', [`${user.uid}:${user.gid}`, location]);
    await server.query(`CREATE TABLESPACE away LOCATION '${location}'`);
    await server.query('CREATE TABLE far TABLESPACE away AS SELECT generate_series(1, 5000) AS id');
    await server.query(
      'CREATE UNLOGGED TABLE far_unlogged (id int PRIMARY KEY USING INDEX TABLESPACE away) TABLESPACE away',
    );
    await server.query('INSERT INTO far_unlogged VALUES (1)');
  }

  test('are followed, mapped to their new place, and start there', async () => {
    await withCluster({ major: 17, dataChecksums: true }, async (dataDirectory, { installation }) => {
      const location = newPath();
      {
        await using server = await startPostgres({ installation, dataDirectory });
        await makeTablespace(server, location);
        await server.stop('fast');
      }
      await expect(exportTo(newPath(), dataDirectory)).rejects.toMatchObject({
        code: 'FORMAT_NOT_EMPTY',
        message: expect.stringContaining('--tablespace_mapping'),
      });
      const [target, moved] = [newPath(), newPath()];
      await exportTo(target, dataDirectory, {}, { tablespace_mapping: [`${location}=${moved}`] });
      const [oid = ''] = await readdir(join(target, 'pg_tblspc'));
      expect(await readlink(join(target, 'pg_tblspc', oid))).toBe(moved);
      await assertModes(moved);
      const user = unprivilegedUser();
      if (user !== undefined) await run('chown', ['-R', `${user.uid}:${user.gid}`, moved]);
      await rm(location, { recursive: true });
      await using server = await startPostgres({ installation, dataDirectory: target });
      expect(await server.query('SELECT sum(id) FROM far')).toEqual([{ sum: '12502500' }]);
      await server.query('INSERT INTO far_unlogged VALUES (1)');
      expect(await server.query('SELECT count(*) FROM far_unlogged')).toEqual([{ count: '1' }]);
      await server.stop('fast');
    });
  });

  test('whose directory is missing end the reading before anything is written', async () => {
    await withCluster({ major: 17 }, async (dataDirectory) => {
      await symlink(join(scratch, 'nowhere'), join(dataDirectory, 'pg_tblspc', '16999'));
      await expect(openDirectory(dataDirectory)).rejects.toMatchObject({
        code: 'FORMAT_NOT_FOUND',
        message: expect.stringMatching(/pg_tblspc\/16999 links to .*nowhere/),
      });
      await unlink(join(dataDirectory, 'pg_tblspc', '16999'));
    });
  });
});

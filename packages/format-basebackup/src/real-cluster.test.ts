import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasDebianTools, runBaseBackup, unpackBackup, verifyBackup } from './testing/debian-tools.ts';
import { createDirectory, makeScratch, openDirectory, type Scratch } from './testing/scratch.ts';

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const debianNote = hasDebianTools ? '' : " (Debian's Postgres 15 is not installed)";
const EXTENSIONS = { none: '', gzip: '.gz', lz4: '.lz4', zstd: '.zst' } as const;

/** PGDATA into tars, and the tars into a PGDATA again. */
async function roundTrip(dataDirectory: string, compression: string) {
  const [backup, restored] = [scratch.newPath(), scratch.newPath()];
  const options = { compression };
  await scratch.copy(
    { format: 'pgdata', storage: await openDirectory(dataDirectory) },
    { format: 'basebackup', storage: await createDirectory(backup), options },
  );
  await scratch.copy(
    { format: 'basebackup', storage: await openDirectory(backup) },
    { format: 'pgdata', storage: await createDirectory(restored) },
  );
  return { backup, restored };
}

describe.each(process.env.CI === undefined ? [18] : [14, 15, 16, 17, 18])(
  'a stopped cluster of Postgres %i',
  (major) => {
    test('goes into tars and comes back', { timeout: 120_000 }, async () => {
      await using cluster = await makeTestCluster({ major, dataChecksums: true });
      const { backup, restored } = await roundTrip(cluster.dataDirectory, 'zstd:1');
      expect((await readdir(backup)).sort()).toEqual(['backup_manifest', 'base.tar.zst', 'pg_wal.tar.zst']);
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: restored, expected })).toEqual([]);
    });
  },
);

describe.runIf(hasDebianTools)(`tars of a stopped cluster of Postgres 15${debianNote}`, () => {
  test.each(['none', 'gzip', 'zstd'] as const)(
    'packed with %s are what tar, pg_verifybackup and Postgres take',
    {
      timeout: 120_000,
    },
    async (method) => {
      await using cluster = await makeTestCluster({ major: 15, dataChecksums: true });
      const { backup } = await roundTrip(cluster.dataDirectory, method === 'gzip' ? 'gzip:1' : method);
      const unpacked = scratch.newPath();
      await unpackBackup(backup, unpacked, EXTENSIONS[method]);
      expect(await verifyBackup(unpacked, { major: 15 })).toBe('backup successfully verified');
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: unpacked, expected })).toEqual([]);
    },
  );
});

describe.runIf(hasDebianTools)(`what pg_basebackup -Ft writes${debianNote}`, () => {
  test.each([
    [14, []],
    [14, ['-z']],
    [15, []],
    [15, ['-Z', 'client-zstd:1', '--manifest-checksums=SHA256']],
    [15, ['-Z', 'server-lz4', '--manifest-force-encode']],
    [15, ['-X', 'fetch', '-Z', 'client-gzip:1', '-R', '--no-manifest']],
  ] as const)(
    'on Postgres %i with %j becomes a directory that recovers by itself',
    { timeout: 120_000 },
    async (major, options) => {
      await using cluster = await makeTestCluster({ major, dataChecksums: true });
      const [backup, restored] = [await scratch.makeServerDirectory(), scratch.newPath()];
      {
        const installation =
          major === 15
            ? { ...cluster.installation, binDirectory: '/usr/lib/postgresql/15/bin' }
            : cluster.installation;
        await using server = await startPostgres({ installation, dataDirectory: cluster.dataDirectory });
        await runBaseBackup(server, backup, options);
        await server.stop('fast');
      }
      await scratch.copy(
        { format: 'basebackup', storage: await openDirectory(backup) },
        { format: 'pgdata', storage: await createDirectory(restored) },
      );
      expect(await readdir(restored)).toContain('backup_label');
      if (!options.some((option) => option === '--no-manifest'))
        expect(await verifyBackup(restored, { major })).toBe('backup successfully verified');
      if (options.some((option) => option === '-R')) {
        expect(await readdir(restored)).toContain('standby.signal');
        return;
      }
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: restored, expected, recovered: true })).toEqual([]);
      expect(await readdir(join(restored, 'pg_tblspc'))).toEqual([]);
    },
  );
});

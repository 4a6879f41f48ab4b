import { cp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { makeBucket } from './testing/bucket.ts';
import { keepBusy, removeLoad } from './testing/busy-server.ts';
import { checkChecksums, hasDebianTools, verifyBackup } from './testing/debian-tools.ts';
import { giveToServer, makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';

/** CI takes all of ours. */
const ALL: readonly number[] = [14, 15, 16, 17, 18];
const isCi = process.env.CI !== undefined;
const TARS = ['backup_manifest', 'base.tar.zst', 'pg_wal.tar.zst'];

describe.each(isCi ? ALL : [])(
  'a cluster of Postgres %i with one of everything and a tablespace',
  (major) => {
    it('goes from a data directory into tars on S3 and comes back', { timeout: 300_000 }, async () => {
      await using scratch = await makeScratchDirectory();
      const at = (name: string) => path.join(scratch.path, name);
      await using bucket = await makeBucket(at('objects'));
      const { url, env } = bucket;
      await using cluster = await makeTestCluster({
        major,
        dataChecksums: true,
        tablespaceDirectory: at('away'),
      });
      const tars = ['--to_format=basebackup', '--format_option=compression=zstd:1'];
      await neon(['snapshot', 'copy', `--from=${cluster.dataDirectory}`, `--to=${url}/tars`, ...tars], env);
      const data = ['--to_format=pgdata', `--tablespace_mapping=${at('away')}=${at('moved')}`];
      await neon(['snapshot', 'copy', `--from=${url}/tars`, `--to=${at('restored')}`, ...data], env);
      const restored = await readdir(at('restored'));
      expect(restored).toContain('backup_manifest');
      expect(restored).not.toContain('backup_label');
      if (hasDebianTools && major <= 16) {
        expect(await verifyBackup(at('restored'), major)).toBe('backup successfully verified');
        // Of a tablespace it takes the directory of its own major alone.
        if (major === 15) expect(await checkChecksums(at('restored'))).toBe('0');
      }
      await cp(at('restored'), at('judged'), { recursive: true, verbatimSymlinks: true });
      await giveToServer(at('moved'));
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: at('judged'), expected })).toEqual([]);
    });
  },
);

describe.each(isCi ? ALL : [18])('a busy Postgres %i with one of everything and a tablespace', (major) => {
  it('goes into tars by its URL, and they become a directory that recovers by itself', {
    timeout: 300_000,
  }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    await using cluster = await makeTestCluster({
      major,
      dataChecksums: true,
      tablespaceDirectory: at('away'),
    });
    const { installation, dataDirectory, expected } = cluster;
    {
      await using server = await startPostgres({ installation, dataDirectory, listen: 'loopback' });
      await server.query("CREATE ROLE backup REPLICATION LOGIN PASSWORD 'secret'");
      const load = await keepBusy(server);
      await load.warm;
      const from = `--from=postgresql://backup@127.0.0.1:${server.port}/`;
      const words = [from, `--to=${at('tars')}`, '--to_format=basebackup'];
      await neon(['snapshot', 'copy', ...words], { NEON_SNAPSHOT_PGPASSWORD: 'secret' });
      await load.stop();
      await server.stop('immediate');
    }
    const names = (await readdir(at('tars'))).filter((name) => !/^\d+\.tar\.zst$/.test(name));
    expect(names.sort()).toEqual(TARS);
    const data = ['--to_format=pgdata', `--tablespace_mapping=${at('away')}=${at('moved')}`];
    await neon(['snapshot', 'copy', `--from=${at('tars')}`, `--to=${at('restored')}`, ...data]);
    if (hasDebianTools && major <= 16)
      expect(await verifyBackup(at('restored'), major)).toBe('backup successfully verified');
    for (const name of ['restored', 'moved']) await giveToServer(at(name));
    {
      await using server = await startPostgres({ installation, dataDirectory: at('restored') });
      await removeLoad(server);
      await server.stop('fast');
    }
    expect(await verifyTestCluster({ dataDirectory: at('restored'), expected, recovered: true })).toEqual([]);
  });
});

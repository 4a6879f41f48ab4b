import { cp, mkdir, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { makeBucket } from './testing/bucket.ts';
import { keepBusy, removeLoad } from './testing/busy-server.ts';
import { hasDebianTools, runBaseBackup, unpackBackup, verifyBackup } from './testing/debian-tools.ts';
import { giveToServer, makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { compareRelationFiles } from './testing/relation-files.ts';

/** CI takes all of Neon's. */
const MAJORS: readonly number[] = process.env.CI === undefined ? [17] : [14, 15, 16, 17];

describe.each(MAJORS)('a cluster of Postgres %i', (major) => {
  it('comes out of Neon storage as tars, and they go back into it', { timeout: 180_000 }, async () => {
    await using scratch = await makeScratchDirectory();
    await using bucket = await makeBucket(path.join(scratch.path, 'objects'));
    await using cluster = await makeTestCluster({ major, dataChecksums: true });
    const [first, second] = [path.join(scratch.path, 'first'), path.join(scratch.path, 'second')];
    const { env } = bucket;
    await neon(
      ['init', '-D', first, `--snapshot_path=${cluster.dataDirectory}`, `--storage_dest=${bucket.url}/a`],
      env,
    );
    // The tars lie in the same bucket, beside the repository.
    const tars = `--snapshot_path=${bucket.url}/tars`;
    await neon(['export', '-D', first, tars, '--snapshot_format=basebackup'], env);
    await neon(
      ['init', '-D', second, tars, '--snapshot_format=basebackup', `--storage_dest=${bucket.url}/b`],
      env,
    );
    const exported = path.join(scratch.path, 'exported');
    await neon(['export', '-D', second, `--snapshot_path=${exported}`], env);
    expect(await compareRelationFiles(cluster.dataDirectory, exported)).toEqual([]);
    expect(await verifyTestCluster({ dataDirectory: exported, expected: cluster.expected })).toEqual([]);
  });
});

describe.each(MAJORS)('a running Postgres %i', (major) => {
  it('goes into Neon storage by its URL under load, and out of it again', { timeout: 180_000 }, async () => {
    await using scratch = await makeScratchDirectory();
    await using cluster = await makeTestCluster({ major, dataChecksums: true });
    const exported = path.join(scratch.path, 'exported');
    const bucket = path.join(scratch.path, 'bucket');
    {
      const { dataDirectory, installation } = cluster;
      await using server = await startPostgres({ installation, dataDirectory, listen: 'loopback' });
      await server.query("CREATE ROLE backup REPLICATION LOGIN PASSWORD 's3cret-word'");
      const url = `--snapshot_path=postgresql://backup@127.0.0.1:${server.port}/`;
      const wrong = { NEON_SNAPSHOT_PGPASSWORD: 'wr0ng-word' };
      const refused = neon(['init', '-D', scratch.path, url, `--storage_dest=${bucket}`], wrong);
      await expect(refused).rejects.toMatchObject({ code: 1, stderr: expect.not.stringContaining('wr0ng') });
      const load = await keepBusy(server);
      await load.warm;
      const right = { NEON_SNAPSHOT_PGPASSWORD: 's3cret-word', PGPASSWORD: 'another' };
      const words = ['init', '-D', scratch.path, url, `--storage_dest=${bucket}`, '--checkpoint=fast'];
      const { stdout, stderr } = await neon(words, right);
      expect(stdout + stderr).not.toContain('s3cret-word');
      await load.stop();
      await server.stop('fast');
    }
    await neon(['export', '-D', scratch.path, `--snapshot_path=${exported}`]);
    await giveToServer(exported);
    {
      await using server = await startPostgres({
        installation: cluster.installation,
        dataDirectory: exported,
      });
      await removeLoad(server);
      await server.stop('fast');
    }
    const { expected } = cluster;
    expect(await verifyTestCluster({ dataDirectory: exported, expected, recovered: true })).toEqual([]);
  });
});

describe.runIf(process.env.CI !== undefined).each([14, 18])(
  'a running Postgres %i with a tablespace',
  (major) => {
    it('is copied, made consistent on the way, and starts without a recovery', {
      timeout: 180_000,
    }, async () => {
      await using scratch = await makeScratchDirectory();
      await using cluster = await makeTestCluster({ major, dataChecksums: true });
      const at = (name: string) => path.join(scratch.path, name);
      await mkdir(at('away'), { mode: 0o700 });
      await giveToServer(at('away'));
      const { dataDirectory, installation } = cluster;
      {
        await using server = await startPostgres({ installation, dataDirectory });
        await server.query(`CREATE TABLESPACE away LOCATION '${at('away')}'`);
        await server.query('CREATE TABLE far TABLESPACE away AS SELECT generate_series(1, 5000) AS id');
        const from = `--from=host=${server.socketDirectory} port=${server.port} user=${server.superuser}`;
        const to = [
          `--to=${at('copied')}`,
          '--to_format=pgdata',
          `--tablespace_mapping=${at('away')}=${at('moved')}`,
        ];
        await neon(['snapshot', 'copy', from, ...to, '--consistent']);
        await server.query('DROP TABLE far');
        await server.query('DROP TABLESPACE away');
        await server.stop('fast');
      }
      expect(await readdir(at('copied'))).not.toContain('backup_label');
      const [oid = ''] = await readdir(at('copied/pg_tblspc'));
      expect(await readlink(at(`copied/pg_tblspc/${oid}`))).toBe(at('moved'));
      for (const name of ['copied', 'moved']) await giveToServer(at(name));
      {
        await using server = await startPostgres({ installation, dataDirectory: at('copied') });
        expect(await server.query('SELECT sum(id) FROM far')).toEqual([{ sum: '12502500' }]);
        await server.query('DROP TABLE far');
        await server.query('DROP TABLESPACE away');
        await server.stop('fast');
      }
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: at('copied'), expected, recovered: true })).toEqual([]);
    });
  },
);

describe.runIf(hasDebianTools)('what pg_basebackup -Ft wrote (Debian 15)', () => {
  it.each([14, 15] as const)(
    'of a running Postgres %i is recovered and goes into Neon storage',
    {
      timeout: 180_000,
    },
    async (major) => {
      await using scratch = await makeScratchDirectory();
      await using cluster = await makeTestCluster({ major, dataChecksums: true });
      const backup = path.join(scratch.path, 'backup');
      await mkdir(backup);
      await giveToServer(backup);
      {
        await using server = await startPostgres({
          installation: cluster.installation,
          dataDirectory: cluster.dataDirectory,
        });
        await runBaseBackup(server, backup, ['-Z', 'client-zstd:1']);
        await server.stop('immediate');
      }
      const bucket = `--storage_dest=${path.join(scratch.path, 'bucket')}`;
      await neon(['init', '-D', scratch.path, `--snapshot_path=${backup}`, bucket]);
      const exported = path.join(scratch.path, 'exported');
      await neon(['export', '-D', scratch.path, `--snapshot_path=${exported}`]);
      const { expected } = cluster;
      expect(await verifyTestCluster({ dataDirectory: exported, expected, recovered: true })).toEqual([]);
    },
  );

  it('exported to tars is what tar and pg_verifybackup take', { timeout: 180_000 }, async () => {
    await using scratch = await makeScratchDirectory();
    await using cluster = await makeTestCluster({ major: 15, dataChecksums: true });
    const at = (name: string) => path.join(scratch.path, name);
    const source = `--snapshot_path=${cluster.dataDirectory}`;
    await neon(['init', '-D', scratch.path, source, `--storage_dest=${at('bucket')}`]);
    const options = ['--snapshot_format=basebackup', '--format_option=compression=none'];
    await neon(['export', '-D', scratch.path, `--snapshot_path=${at('tars')}`, ...options]);
    expect((await readdir(at('tars'))).sort()).toEqual(['backup_manifest', 'base.tar', 'pg_wal.tar']);
    await unpackBackup(at('tars'), at('unpacked'));
    expect(await verifyBackup(at('unpacked'), 15)).toBe('backup successfully verified');
    await cp(at('unpacked'), at('judged'), { recursive: true });
    const { expected } = cluster;
    expect(await verifyTestCluster({ dataDirectory: at('judged'), expected })).toEqual([]);
  });
});

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { giveToServer, makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { hasTools, runBaseBackupOf, verifyBackupOf } from './testing/postgres-tools.ts';

const isCi = process.env.CI !== undefined;
const VERIFIED = 'backup successfully verified';
/** The first that looks into tars. */
const VERIFIES_TARS_SINCE_MAJOR = 18;
const INCREMENTAL_SINCE_MAJOR = 17;

const note = (major: number) =>
  hasTools(major) ? '' : ' [skipped: run scripts/servers/postgres-tools.sh first]';

describe.each((isCi ? [16, 17, 18] : [18]).map((major) => [major, note(major)] as const))(
  'the programs of Postgres %i%s',
  (major) => {
    it.runIf(hasTools(major))(
      'take what is made of a directory and of a running server',
      {
        timeout: 300_000,
      },
      async () => {
        await using scratch = await makeScratchDirectory();
        const at = (name: string) => path.join(scratch.path, name);
        await using cluster = await makeTestCluster({ major, dataChecksums: true });
        const { dataDirectory, installation } = cluster;
        const options = ['--to_format=basebackup', '--format_option=compression=gzip:1'];
        await neon(['snapshot', 'copy', `--from=${dataDirectory}`, `--to=${at('stopped')}`, ...options]);
        {
          await using server = await startPostgres({ installation, dataDirectory });
          const from = `--from=host=${server.socketDirectory} port=${server.port} user=${server.superuser}`;
          await neon(['snapshot', 'copy', from, `--to=${at('live')}`, '--to_format=basebackup']);
        }
        for (const name of ['stopped', 'live']) {
          if (major >= VERIFIES_TARS_SINCE_MAJOR)
            expect(await verifyBackupOf(major, at(name))).toBe(VERIFIED);
          const unpacked = at(`${name}-unpacked`);
          await neon(['snapshot', 'copy', `--from=${at(name)}`, `--to=${unpacked}`, '--to_format=pgdata']);
          expect(await verifyBackupOf(major, unpacked)).toBe(VERIFIED);
        }
      },
    );
  },
);

const COMPRESSIONS = ['', '-Z client-zstd:1', '-Z client-lz4', '-z -X fetch'];

describe.each((isCi ? [16, 17, 18] : []).map((major) => [major, note(major)] as const))(
  'what pg_basebackup -Ft of Postgres %i wrote%s',
  (major) => {
    it.runIf(hasTools(major)).each(COMPRESSIONS)(
      'with the options "%s" becomes a directory that recovers by itself',
      {
        timeout: 300_000,
      },
      async (options) => {
        await using scratch = await makeScratchDirectory();
        const at = (name: string) => path.join(scratch.path, name);
        await using cluster = await makeTestCluster({ major, dataChecksums: true });
        const { dataDirectory, installation, expected } = cluster;
        await makeForServer(at('tars'));
        {
          await using server = await startPostgres({ installation, dataDirectory });
          await runBaseBackupOf(server, at('tars'), options === '' ? [] : options.split(' '));
          await server.stop('immediate');
        }
        expect(
          (await neon(['snapshot', 'verify', `--snapshot_path=${at('tars')}`, '--level=pages'])).stdout,
        ).toMatch(/nothing is wrong\s*$/);
        await neon([
          'snapshot',
          'copy',
          `--from=${at('tars')}`,
          `--to=${at('restored')}`,
          '--to_format=pgdata',
        ]);
        expect(await verifyBackupOf(major, at('restored'))).toBe(VERIFIED);
        await giveToServer(at('restored'));
        expect(await verifyTestCluster({ dataDirectory: at('restored'), expected, recovered: true })).toEqual(
          [],
        );
      },
    );

    if (major < INCREMENTAL_SINCE_MAJOR) return;
    it.runIf(hasTools(major))(
      'incrementally is combined with its parent',
      {
        timeout: 300_000,
      },
      async () => {
        await using scratch = await makeScratchDirectory();
        const at = (name: string) => path.join(scratch.path, name);
        await using cluster = await makeTestCluster({ major, dataChecksums: true });
        const { dataDirectory, installation, expected } = cluster;
        for (const name of ['full', 'incremental']) await makeForServer(at(name));
        {
          await using server = await startPostgres({
            installation,
            dataDirectory,
            settings: { summarize_wal: true },
          });
          await server.query('CREATE TABLE late AS SELECT generate_series(1, 30000) AS id');
          await runBaseBackupOf(server, at('full'), ['-Z', 'client-zstd:1']);
          await server.query('DELETE FROM late WHERE id > 20000');
          const incremental = [`--incremental=${at('full/backup_manifest')}`, '-Z', 'client-zstd:1'];
          await runBaseBackupOf(server, at('incremental'), incremental);
          await server.stop('immediate');
        }
        const words = [`--from=${at('incremental')}`, `--parents=${at('full')}`];
        await neon(['snapshot', 'copy', ...words, `--to=${at('restored')}`, '--to_format=pgdata']);
        expect(await verifyBackupOf(major, at('restored'))).toBe(VERIFIED);
        await giveToServer(at('restored'));
        {
          await using server = await startPostgres({ installation, dataDirectory: at('restored') });
          expect(await server.query('SELECT count(*) AS n FROM late')).toEqual([{ n: '20000' }]);
          await server.query('DROP TABLE late');
          await server.stop('fast');
        }
        expect(await verifyTestCluster({ dataDirectory: at('restored'), expected, recovered: true })).toEqual(
          [],
        );
      },
    );
  },
);

async function makeForServer(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 });
  await giveToServer(directory);
}

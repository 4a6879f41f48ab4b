import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { type PostgresInstallation, startPostgres, tableChecksums } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { keepBusy } from './testing/busy-server.ts';
import { giveToServer, makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { recoverTo } from './testing/recover-to.ts';
import { compareWithRecovered } from './testing/recovered-files.ts';

const MAJORS = process.env.CI === undefined ? [17] : [14, 15, 16, 17];

describe.each(MAJORS)('a base backup of a busy Postgres %i', (major) => {
  it('goes into Neon storage with no Postgres, and is what stock recovery makes of it', {
    timeout: 600_000,
  }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    const logsHints = major % 2 === 1;
    const configuration = 'max_prepared_transactions = 20\n';
    await using cluster = await makeTestCluster({ major, dataChecksums: logsHints, configuration });
    const { installation, dataDirectory } = cluster;
    {
      await using server = await startPostgres({ installation, dataDirectory, listen: 'loopback' });
      await server.query("CREATE ROLE backup REPLICATION LOGIN PASSWORD 'secret'");
      const load = await keepBusy(server);
      await load.warm;
      const from = `--from=postgresql://backup@127.0.0.1:${server.port}/`;
      const words = [from, `--to=${at('tars')}`, '--to_format=basebackup', '--max_rate=8M'];
      await neon(['snapshot', 'copy', ...words], { NEON_SNAPSHOT_PGPASSWORD: 'secret' });
      await load.stop();
      await server.stop('immediate');
    }
    const source = `--snapshot_path=${at('tars')}`;
    const { stderr } = await neon(['init', '-D', at('repository'), source, `--storage_dest=${at('bucket')}`]);
    expect(stderr).not.toContain('recovering');
    await neon(['export', '-D', at('repository'), `--snapshot_path=${at('exported')}`]);
    await neon(['snapshot', 'copy', `--from=${at('tars')}`, `--to=${at('recovered')}`, '--to_format=pgdata']);
    await recoverTo({ dataDirectory: at('recovered'), installation });
    const files = { recovered: at('recovered'), exported: at('exported') };
    expect((await compareWithRecovered(files, { logsHints })).slice(0, 20)).toEqual([]);
    const [recovered, exported] = [
      await checksumsOf(at('recovered'), installation),
      await checksumsOf(at('exported'), installation),
    ];
    expect(exported).toEqual(recovered);
  });

  it('whose WAL ends too early is refused, and leaves nothing', { timeout: 300_000 }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    await using cluster = await makeTestCluster({ major });
    {
      const { installation, dataDirectory } = cluster;
      await using server = await startPostgres({ installation, dataDirectory, listen: 'loopback' });
      await server.query("CREATE ROLE backup REPLICATION LOGIN PASSWORD 'secret'");
      const from = `--from=postgresql://backup@127.0.0.1:${server.port}/`;
      const env = { NEON_SNAPSHOT_PGPASSWORD: 'secret' };
      await neon(['snapshot', 'copy', from, `--to=${at('data')}`, '--to_format=pgdata'], env);
    }
    const wal = path.join(at('data'), 'pg_wal');
    const [last] = (await readdir(wal))
      .filter((name) => /^[0-9A-F]{24}$/.test(name))
      .sort()
      .reverse();
    await rm(path.join(wal, last ?? ''));
    await mkdir(at('bucket'));
    const words = [`--snapshot_path=${at('data')}`, `--storage_dest=${at('bucket')}`];
    const refused = neon(['init', '-D', at('repository'), ...words]);
    await expect(refused).rejects.toMatchObject({ code: 3, stderr: expect.stringMatching(/WAL/) });
    expect(
      (await readdir(at('bucket'), { recursive: true })).filter((name) => /index_part|__/.test(name)),
    ).toEqual([]);
  });
});

async function checksumsOf(dataDirectory: string, installation: PostgresInstallation) {
  await giveToServer(dataDirectory);
  const settings = { autovacuum: 'off', max_prepared_transactions: '20' };
  await using server = await startPostgres({ installation, dataDirectory, settings });
  // One that is being dropped lets nobody in.
  const rows = await server.query(
    'SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname',
  );
  return await tableChecksums(server, { databases: rows.map(({ datname }) => datname ?? '') });
}

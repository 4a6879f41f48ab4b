import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { formatLsn, parseLsn } from '@neon-snapshot/postgres';
import { type PostgresInstallation, startPostgres, tableChecksums } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { keepBusy } from './testing/busy-server.ts';
import { giveToServer, makeScratchDirectory } from './testing/directory.ts';
import { FOLLOWER_ENV, makePrimary, waitFor, waitForMore } from './testing/followed-primary.ts';
import { neon } from './testing/neon-cli.ts';
import { recoverTo } from './testing/recover-to.ts';
import { compareWithRecovered } from './testing/recovered-files.ts';
import { runNeon } from './testing/running-neon.ts';

const MAJORS = process.env.CI === undefined ? [17] : [14, 15, 16, 17];

const env = FOLLOWER_ENV;

describe.each(MAJORS)('a busy primary of Postgres %i', (major) => {
  it('is followed from a base backup on; an export is that backup recovered to the same LSN by stock Postgres', {
    timeout: 900_000,
  }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    await using primary = await makePrimary(major);
    const { installation, server, url } = primary;
    const load = await keepBusy(server, { pauseMs: 200 });
    await load.warm;
    const tars = [`--from=${url}`, `--to=${at('tars')}`, '--to_format=basebackup', '--max_rate=20M'];
    await neon(['snapshot', 'copy', ...tars], env);
    const directory = at('follower');
    const source = `--snapshot_path=${at('tars')}`;
    await neon(['init', '-D', directory, source, `--storage_dest=${at('bucket')}`]);
    await using follower = runNeon({ directory, flags: [], env });
    await follower.command(['start', '--follow', url]);
    await waitForMore(follower);
    await load.stop();
    const [end] = await server.query('SELECT pg_current_wal_insert_lsn() AS lsn');
    const target = parseLsn(end?.lsn ?? '');
    await server.query('CHECKPOINT');
    await waitFor(follower, target);
    await follower.command(['export', `--snapshot_path=${at('exported')}`, `--lsn=${formatLsn(target)}`]);
    await neon(['snapshot', 'copy', `--from=${at('tars')}`, `--to=${at('recovered')}`, '--to_format=pgdata']);
    await recoverTo({
      dataDirectory: at('recovered'),
      installation,
      walDirectory: path.join(primary.dataDirectory, 'pg_wal'),
      lsn: target,
    });
    const files = { recovered: at('recovered'), exported: at('exported') };
    expect((await compareWithRecovered(files, { logsHints: false })).slice(0, 20)).toEqual([]);
    const recovered = await checksumsOf(at('recovered'), installation);
    expect(await checksumsOf(at('exported'), installation)).toEqual(recovered);
  });

  it.runIf(process.env.CI !== undefined)(
    'is followed by one command, over a restart, until that is ended',
    { timeout: 600_000 },
    async () => {
      await using scratch = await makeScratchDirectory();
      const directory = path.join(scratch.path, 'follower');
      await using primary = await makePrimary(major);
      const { server, url } = primary;
      const slots = () =>
        server.query("SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'neon%'");
      const load = await keepBusy(server, { pauseMs: 200 });
      await load.warm;
      await using follower = runNeon({ directory, flags: [], env });
      const words = ['start', '--follow', url, `--storage_dest=${path.join(scratch.path, 'bucket')}`];
      const slot = expect.stringMatching(/^neon_[0-9a-f]{8}$/);
      expect(await follower.command(words)).toMatchObject({ endpoints: [], follows: { slot } });
      await waitForMore(follower);
      await follower.command(['stop']);
      expect(await slots()).toEqual([{ slot_name: slot }]);
      expect(await follower.command(['start'])).toMatchObject({ endpoints: [], follows: { slot } });
      await follower.command(['endpoint', 'create', 'other']);
      await expect(follower.command(['endpoint', 'start', 'other'])).rejects.toMatchObject({ code: 2 });
      await waitForMore(follower);
      await load.stop();
      expect(await readFile(path.join(directory, '.neon', 'follow.json'), 'utf8')).not.toContain('s3cret');
      const ended = await follower.command(['start', '--unfollow']);
      expect(ended).toMatchObject({ endpoints: [{ name: 'main' }] });
      expect(await slots()).toEqual([]);
    },
  );
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

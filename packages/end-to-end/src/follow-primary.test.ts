import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { formatLsn, lsn, parseLsn } from '@neon-snapshot/postgres';
import { type PostgresInstallation, startPostgres, tableChecksums } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { keepBusy } from './testing/busy-server.ts';
import { giveToServer, makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { recoverTo } from './testing/recover-to.ts';
import { compareWithRecovered } from './testing/recovered-files.ts';
import { runNeon } from './testing/running-neon.ts';

const MAJORS = process.env.CI === undefined ? [17] : [14, 15, 16, 17];

describe.each(MAJORS)('a busy primary of Postgres %i', (major) => {
  it('is followed; an export at an LSN is its base backup recovered to there by stock Postgres', {
    timeout: 900_000,
  }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    // The WAL since the backup is what stock recovery replays.
    const configuration = 'max_prepared_transactions = 20\nwal_keep_size = 8GB\n';
    await using cluster = await makeTestCluster({ major, configuration });
    const { installation, dataDirectory } = cluster;
    await using primary = await startPostgres({ installation, dataDirectory, listen: 'loopback' });
    await primary.query("CREATE ROLE backup REPLICATION LOGIN PASSWORD 's3cret:word'");
    const server = `postgresql://backup@127.0.0.1:${primary.port}/`;
    const env = { NEON_SNAPSHOT_PGPASSWORD: 's3cret:word' };
    const load = await keepBusy(primary, { pauseMs: 200 });
    await load.warm;
    const directory = at('follower');
    await using follower = runNeon({ directory, flags: [], env });
    const tars = [`--from=${server}`, `--to=${at('tars')}`, '--to_format=basebackup'];
    await neon(['snapshot', 'copy', ...tars], env);
    const words = ['start', '--follow', server, `--storage_dest=${at('bucket')}`];
    const started = await follower.command(words);
    expect(started).toMatchObject({
      endpoints: [],
      follows: { slot: expect.stringMatching(/^neon_[0-9a-f]{8}$/) },
    });
    await waitForMore(follower);
    // A restart goes on by itself, and starts no endpoint.
    await follower.command(['stop']);
    expect(await follower.command(['start'])).toMatchObject({ endpoints: [] });
    await expect(follower.command(['endpoint', 'create', 'other', '--branch=main'])).resolves.toBeDefined();
    await expect(follower.command(['endpoint', 'start', 'other'])).rejects.toMatchObject({ code: 2 });
    await waitForMore(follower);
    await load.stop();
    // The rest of the segment goes to the follower and into the archive alike.
    const [end] = await primary.query('SELECT pg_current_wal_insert_lsn() AS lsn');
    const target = parseLsn(end?.lsn ?? '');
    await primary.query('CHECKPOINT');
    await waitFor(follower, target);
    const words2 = [`--snapshot_path=${at('exported')}`, `--lsn=${formatLsn(target)}`];
    await follower.command(['export', ...words2]);
    expect(await readFile(path.join(directory, '.neon', 'follow.json'), 'utf8')).not.toContain('s3cret');
    await neon(['snapshot', 'copy', `--from=${at('tars')}`, `--to=${at('recovered')}`, '--to_format=pgdata']);
    await recoverTo({
      dataDirectory: at('recovered'),
      installation,
      walDirectory: path.join(dataDirectory, 'pg_wal'),
      lsn: target,
    });
    const files = { recovered: at('recovered'), exported: at('exported') };
    expect((await compareWithRecovered(files, { logsHints: false })).slice(0, 20)).toEqual([]);
    const [recovered, exported] = [
      await checksumsOf(at('recovered'), installation),
      await checksumsOf(at('exported'), installation),
    ];
    expect(exported).toEqual(recovered);
    await follower.command(['start', '--unfollow']);
    expect(
      await primary.query("SELECT count(*) AS n FROM pg_replication_slots WHERE slot_name LIKE 'neon%'"),
    ).toEqual([{ n: '0' }]);
  });
});

type Follower = ReturnType<typeof runNeon>;

async function waitForMore(follower: Follower): Promise<void> {
  const before = (await follower.status()).timelines[0]?.lastRecordLsn ?? '0/0';
  await waitFor(follower, lsn(parseLsn(before) + 1n));
}

async function waitFor(follower: Follower, target: bigint): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const found = (await follower.status()).timelines[0]?.lastRecordLsn ?? '0/0';
    if (parseLsn(found) >= target) return;
    await sleep(200);
  }
  throw new Error(`the follower did not get to ${target}: ${JSON.stringify(await follower.status())}`);
}

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

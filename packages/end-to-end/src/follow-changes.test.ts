import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '@neon-snapshot/postgres';
import { type ClusterChecksums, startPostgres, tableChecksums } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { keepBusy } from './testing/busy-server.ts';
import { giveToServer, makeScratchDirectory } from './testing/directory.ts';
import { FOLLOWER_ENV, makePrimary, startStandby, waitFor, waitForMore } from './testing/followed-primary.ts';
import { neon } from './testing/neon-cli.ts';
import { neonFailure } from './testing/neon-failure.ts';
import { type RunningNeon, runNeon } from './testing/running-neon.ts';

const env = FOLLOWER_ENV;
const SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'neon%'";

/** Sequences are logged some values ahead of what was taken. */
function tablesOf(checksums: ClusterChecksums) {
  return Object.fromEntries(Object.entries(checksums).map(([name, { tables }]) => [name, tables]));
}

/** What the page server says of where it takes its WAL. */
async function walSourceOf(follower: RunningNeon): Promise<string> {
  const [timeline] = (await follower.command(['status'])).timelines as { readonly walSource: string }[];
  return timeline?.walSource ?? '';
}

describe.each(process.env.CI === undefined ? [] : [14, 17])(
  'a follower of Postgres %i that is lost',
  (major) => {
    it('goes on from its slot in a new directory, and misses nothing', { timeout: 600_000 }, async () => {
      await using scratch = await makeScratchDirectory();
      const at = (name: string) => path.join(scratch.path, name);
      await using primary = await makePrimary(major);
      const { server, url, installation } = primary;
      const load = await keepBusy(server, { pauseMs: 100 });
      await load.warm;
      const words = ['start', '--follow', url, `--storage_dest=${at('bucket')}`];
      await using first = runNeon({ directory: at('first'), flags: [], env });
      await first.command(words);
      await waitForMore(first);
      await first.loseMachine();
      await sleep(1000);
      await using second = runNeon({ directory: at('second'), flags: [], env });
      const [slot] = await server.query(SLOTS);
      expect(await second.command([...words, '--take_over'])).toMatchObject({
        endpoints: [],
        follows: { slot: slot?.slot_name },
      });
      await waitForMore(second);
      await load.stop();
      const [end] = await server.query('SELECT pg_current_wal_insert_lsn() AS lsn');
      await server.query('CHECKPOINT');
      await waitFor(second, parseLsn(end?.lsn ?? ''));
      await second.command(['stop']);
      await neon(['export', '-D', at('second'), `--snapshot_path=${at('exported')}`]);
      await giveToServer(at('exported'));
      const databases = ['postgres', 'Other Db'];
      const expected = tablesOf(await tableChecksums(server, { databases }));
      await using restored = await startPostgres({ installation, dataDirectory: at('exported') });
      expect(tablesOf(await tableChecksums(restored, { databases }))).toEqual(expected);
    });
  },
);

describe.runIf(process.env.CI !== undefined)('a follower that is lost', () => {
  it('is told what is missing where the primary has dropped its WAL, and leaves nothing', {
    timeout: 300_000,
  }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    const configuration = 'max_slot_wal_keep_size = 1GB\nmin_wal_size = 32MB\n';
    await using primary = await makePrimary(17, { configuration });
    const { server, url } = primary;
    const words = ['start', '--follow', url, `--storage_dest=${at('bucket')}`];
    await using first = runNeon({ directory: at('first'), flags: [], env });
    const { stderr } = await neon([...words, '-D', at('first')], env);
    expect(stderr).toContain('max_slot_wal_keep_size = 1GB');
    await first.command(['stop']);
    const [slot] = await server.query(SLOTS);
    await server.query(`SELECT pg_drop_replication_slot('${slot?.slot_name}')`);
    for (let round = 0; round < 4; round += 1) {
      await server.query('CREATE TABLE IF NOT EXISTS more (id int); INSERT INTO more VALUES (1)');
      await server.query('SELECT pg_switch_wal()');
      await server.query('CHECKPOINT');
    }
    const failed = await neonFailure([...words, '-D', at('second')], env);
    expect(failed).toMatchObject({ exitCode: 1, code: 'CLI_CANNOT_FOLLOW' });
    expect(failed.message).toMatch(/WAL segment .* has already been removed; follow it anew/);
    expect(existsSync(at('second/.neon'))).toBe(false);
    expect(await server.query(SLOTS)).toEqual([]);
  });
});

describe.each(process.env.CI === undefined ? [] : [14, 17])('a standby of Postgres %i', (major) => {
  it('is followed as well, until it is promoted: then status says why no more comes', {
    timeout: 600_000,
  }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    await using primary = await makePrimary(major);
    const standby = await startStandby(primary, at('standby'));
    await using _server = standby.server;
    await primary.server.query('CREATE TABLE before AS SELECT generate_series(1, 1000) AS id');
    await using follower = runNeon({ directory: at('follower'), flags: [], env });
    const words = ['start', '--follow', standby.url, `--storage_dest=${at('bucket')}`];
    await follower.command(words);
    await primary.server.query('CREATE TABLE behind AS SELECT generate_series(1, 2000) AS id');
    const [end] = await primary.server.query('SELECT pg_current_wal_insert_lsn() AS lsn');
    await waitFor(follower, parseLsn(end?.lsn ?? ''));
    await primary.server.stop('fast');
    await standby.server.query('SELECT pg_promote()');
    await standby.server.query('CREATE TABLE elsewhere AS SELECT generate_series(1, 100) AS id');
    let said = '';
    for (let attempt = 0; attempt < 300 && !said.startsWith('refused'); attempt += 1) {
      await sleep(200);
      said = await walSourceOf(follower);
    }
    expect(said).toMatch(/TimeLineID 2, the one that is followed is 1: another server was promoted/);
    const again = await neonFailure([...words, '-D', at('other')], env);
    expect(again).toMatchObject({
      code: 'CLI_CANNOT_FOLLOW',
      message: expect.stringContaining('it is on TimeLineID 2, the timeline is of 1'),
    });
    await follower.command(['stop']);
    await neon(['export', '-D', at('follower'), `--snapshot_path=${at('exported')}`]);
    await giveToServer(at('exported'));
    const { installation } = primary;
    await using restored = await startPostgres({ installation, dataDirectory: at('exported') });
    const [row] = await restored.query(
      "SELECT (SELECT sum(id) FROM before) || ' ' || (SELECT sum(id) FROM behind) AS sums, to_regclass('elsewhere') AS later",
    );
    expect(row).toEqual({ sums: '500500 2001000', later: null });
  });
});

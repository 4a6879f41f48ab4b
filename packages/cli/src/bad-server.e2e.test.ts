import { mkdir, writeFile } from 'node:fs/promises';
import { makeTestCluster, type TestCluster } from '@neon-snapshot/cluster-testkit';
import { type PostgresServer, startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, tree, type Workspace } from './testing/workspace.ts';

const HBA = `
local all all trust
local replication all trust
host replication rejected 127.0.0.1/32 reject
hostssl replication encrypted 127.0.0.1/32 scram-sha-256
host replication unlisted 127.0.0.2/32 scram-sha-256
host replication backup,plain 127.0.0.1/32 scram-sha-256
`;
const SECRET = 's3cret-word';
const isCi = process.env.CI !== undefined;

let workspace: Workspace;
let cluster: TestCluster;

beforeAll(async () => {
  workspace = await openWorkspace();
  cluster = await makeTestCluster({ major: isCi ? 14 : 18, dataChecksums: true });
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

/** Every command that reads a server (CI tries them all) fails alike, leaves nothing, and tells no secret. */
async function refusals(server: string, env: Readonly<Record<string, string>> = {}) {
  await mkdir(workspace.path('to'), { recursive: true });
  const commands = [
    ['snapshot', 'copy', `--from=${server}`, '--to=to', '--to_format=pgdata'],
    ['snapshot', 'copy', `--from=${server}`, '--to=to', '--to_format=basebackup'],
    ['init', `--snapshot_path=${server}`, '--storage_dest=to'],
    ['start', `--follow=${server}`, '--storage_dest=to'],
    ['snapshot', 'verify', `--snapshot_path=${server}`, '--level=hash'],
  ];
  const found = [];
  for (const words of isCi ? commands : commands.slice(0, 1)) {
    const run = await workspace.neon([...words, '--json'], { env });
    expect(run.stdout + run.stderr).not.toContain(SECRET);
    found.push({ ...(run.json().error as { code: string; message: string }), exitCode: run.exitCode });
    expect(await tree(workspace.path('to'))).toEqual([]);
    expect(await tree(workspace.path('.neon'))).toEqual([]);
  }
  return found;
}

function tcp({ port }: PostgresServer, user: string, more = ''): string {
  return `host=127.0.0.1 port=${port} user=${user}${more}`;
}

describe('a server that gives no snapshot', () => {
  it('says who is not let in, and what to do', { timeout: 300_000 }, async () => {
    await using server = await startPostgres({ ...cluster, listen: 'loopback' });
    for (const role of ['rejected', 'encrypted', 'unlisted', 'backup'])
      await server.query(`CREATE ROLE ${role} REPLICATION LOGIN PASSWORD '${SECRET}'`);
    await server.query(`CREATE ROLE plain LOGIN PASSWORD '${SECRET}'`);
    const [row] = await server.query('SHOW hba_file');
    await writeFile(row?.hba_file ?? '', HBA);
    await server.query('SELECT pg_reload_conf()');
    const env = { NEON_SNAPSHOT_PGPASSWORD: SECRET };
    const cases = [
      ['backup', '', { PGPASSWORD: `not-${SECRET}` }, /28P01.*check user and password/],
      ['plain', '', env, /42501.*give the user the attribute REPLICATION/],
      ['rejected', '', env, /28000.*with a line of pg_hba\.conf/],
      ['unlisted', '', env, /28000.*with a line of pg_hba\.conf/],
      ['encrypted', ' sslmode=disable', env, /28000.*or choose another sslmode/],
      ['backup', ' sslmode=require', env, /has no TLS, which sslmode asks for/],
    ] as const;
    for (const [user, more, environment, message] of cases) {
      for (const refused of await refusals(tcp(server, user, more), environment))
        expect(refused).toMatchObject({ exitCode: 1, message: expect.stringMatching(message) });
    }
  });

  it.each([
    [{ wal_level: 'minimal', max_wal_senders: 0 }, /set wal_level to replica/],
    [{ max_wal_senders: 0 }, /max_wal_senders above 0/],
    [{ max_replication_slots: 0 }, /max_replication_slots/],
  ] as const)('says what is set too low there: %j', { timeout: 300_000 }, async (settings, message) => {
    await using server = await startPostgres({ ...cluster, settings });
    const place = `host=${server.socketDirectory} port=${server.port} user=${server.superuser}`;
    for (const refused of await refusals(place))
      expect(refused).toMatchObject({ exitCode: 1, message: expect.stringMatching(message) });
  });

  it('says that all its WAL senders are taken', { timeout: 120_000 }, async () => {
    await using server = await startPostgres({ ...cluster, settings: { max_wal_senders: 1 } });
    const place = `host=${server.socketDirectory} port=${server.port} user=${server.superuser}`;
    const words = ['snapshot', 'copy', `--from=${place}`, '--to=to', '--to_format=basebackup'];
    expect(await workspace.failure(words)).toMatchObject({
      code: 'FORMAT_SERVER',
      message: expect.stringMatching(/53300.*raise max_wal_senders/),
    });
    expect(await tree(workspace.path('to'))).toEqual([]);
  });

  it('is not there', async () => {
    for (const refused of await refusals('postgresql://backup@127.0.0.1:1/'))
      expect(refused).toMatchObject({ exitCode: 1, message: expect.stringMatching(/127\.0\.0\.1:1/) });
  });
});

describe('a server that goes away in the middle', () => {
  it.each(isCi ? ['pgdata', 'basebackup', 'neon'] : ['basebackup'])(
    'leaves nothing in %s',
    { timeout: 120_000 },
    async (format) => {
      await using server = await startPostgres({ ...cluster });
      const place = `host=${server.socketDirectory} port=${server.port} user=${server.superuser}`;
      await mkdir(workspace.path('to'), { recursive: true });
      // So slow that the server is gone long before the end.
      const slow = ['--max_rate=2M', `--to_format=${format}`];
      const copying = workspace.neon(['snapshot', 'copy', `--from=${place}`, '--to=to', ...slow, '--json']);
      const isCopying =
        'SELECT count(*) AS n FROM pg_stat_progress_basebackup WHERE backup_streamed > 1000000';
      while ((await server.query(isCopying))[0]?.n === '0') await server.query('SELECT pg_sleep(0.02)');
      await server.stop('immediate');
      const run = await copying;
      expect(run.exitCode).toBe(1);
      expect(run.json().error).toMatchObject({ code: 'FORMAT_SERVER' });
      expect((await tree(workspace.path('to'))).filter((name) => !/\.lock$/.test(name))).toEqual([]);
    },
  );
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { initdb } from './initdb.ts';
import { isProcessAlive, isServerRunning } from './postmaster-pid.ts';
import { startPostgres } from './start-postgres.ts';
import { makeSmallCluster, makeTemporaryDirectory, type SmallCluster } from './testing/small-cluster.ts';

let cluster: SmallCluster;

beforeAll(async () => {
  cluster = await makeSmallCluster({ password: 'correct horse' });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('a server answers on its private socket, opens no port, and is gone after disposal', async () => {
  let socketDirectory: string;
  {
    await using server = await startPostgres(cluster);
    socketDirectory = server.socketDirectory;
    expect(await server.query('SELECT 9007199254740993::int8 AS n, NULL AS x')).toEqual([
      { n: '9007199254740993', x: null },
    ]);
    expect(await server.query('SHOW listen_addresses')).toEqual([{ listen_addresses: '' }]);
    expect((await stat(socketDirectory)).mode & 0o077).toBe(0);
    expect(await isServerRunning(cluster.dataDirectory)).toBe(true);
  }
  expect(await isServerRunning(cluster.dataDirectory)).toBe(false);
  await expect(stat(socketDirectory)).rejects.toThrow('ENOENT');
});

test('a failing statement carries its SQLSTATE, and several run in turn on one session', async () => {
  await using server = await startPostgres(cluster);
  await using session = await server.connect();
  await session.query('CREATE TEMP TABLE t (id int)');
  await expect(session.query('SELECT nothing')).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_QUERY',
    context: { sqlState: '42703' },
  });
  await session.query('INSERT INTO t VALUES ($1)', { params: [5] });
  expect(await session.query('SELECT * FROM t')).toEqual([{ id: '5' }]);
});

test('an abort interrupts a running statement', async () => {
  await using server = await startPostgres(cluster);
  await expect(
    server.query('SELECT pg_sleep(60)', { signal: AbortSignal.timeout(100) }),
  ).rejects.toMatchObject({ code: 'POSTGRES_PROCESS_ABORTED' });
});

test('over TCP the password is asked for and accepted', async () => {
  await using server = await startPostgres({ ...cluster, listen: 'loopback' });
  const { default: pg } = await import('pg');
  const connect = async (password: string) => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      database: 'postgres',
      password,
    });
    try {
      await client.connect();
    } finally {
      await client.end();
    }
  };
  await expect(connect('wrong')).rejects.toThrow('password authentication failed');
  await connect('correct horse');
});

test.each(['immediate', 'kill'] as const)('after a stop by %s the next start recovers', async (mode) => {
  {
    await using server = await startPostgres(cluster);
    await server.query(`CREATE TABLE after_${mode} AS SELECT 1 AS id`);
    await server.stop(mode);
    expect(server.running).toBe(false);
    await expect(server.query('SELECT 1')).rejects.toMatchObject({ code: 'POSTGRES_PROCESS_NOT_RUNNING' });
  }
  await using server = await startPostgres(cluster);
  expect(await server.query(`SELECT * FROM after_${mode}`)).toEqual([{ id: '1' }]);
});

test('a second server on one directory is refused', async () => {
  await using server = await startPostgres(cluster);
  await expect(startPostgres(cluster)).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_RUNNING',
    context: { pid: server.pid },
  });
});

test('a server that does not start says why, in its own words, and leaves nothing', async () => {
  await using temporary = await makeTemporaryDirectory();
  vi.stubEnv('TMPDIR', temporary.path);
  await expect(startPostgres({ ...cluster, settings: { shared_buffers: 'much' } })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_START',
    message: expect.stringContaining('invalid value for parameter "shared_buffers"'),
  });
  expect(await readdir(temporary.path)).toEqual([]);
});

test('a setting that may hold a password is kept out of the process list', async () => {
  const settings = { primary_conninfo: 'password=secret' };
  await expect(startPostgres({ ...cluster, settings })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_OPTION',
    message: expect.not.stringContaining('secret'),
  });
});

test('a directory without a cluster is an error before anything is started', async () => {
  await using temporary = await makeTemporaryDirectory();
  await expect(startPostgres({ ...cluster, dataDirectory: temporary.path })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_NOT_A_CLUSTER',
  });
});

test('initdb refuses a directory that holds something, and cleans up after a failure', async () => {
  await using temporary = await makeTemporaryDirectory();
  const { installation } = cluster;
  const dataDirectory = join(temporary.path, 'new');
  await expect(initdb({ installation, dataDirectory, encoding: 'KLINGON' })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_INITDB',
    message: expect.stringContaining('KLINGON'),
  });
  expect(await readdir(dataDirectory)).toEqual([]);
  await writeFile(join(dataDirectory, 'mine'), 'x');
  await expect(initdb({ installation, dataDirectory })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_OPTION',
    message: expect.stringContaining('mine'),
  });
});

test.runIf(process.geteuid?.() === 0)(
  'as root, a path that the unprivileged account may not enter is named',
  async () => {
    await using temporary = await makeTemporaryDirectory();
    const blocked = join(temporary.path, 'blocked');
    await mkdir(join(blocked, 'below'), { recursive: true });
    await chmod(blocked, 0o700);
    const dataDirectory = join(blocked, 'below', 'data');
    await expect(initdb({ installation: cluster.installation, dataDirectory })).rejects.toMatchObject({
      code: 'POSTGRES_PROCESS_UNREACHABLE',
      context: { blocked },
    });
  },
);

test('a server ends when the process that started it is killed, and its runtime directory goes', async () => {
  await using temporary = await makeTemporaryDirectory();
  await chmod(temporary.path, 0o777);
  const script = `
    const { startPostgres } = await import(${JSON.stringify(new URL('./start-postgres.ts', import.meta.url).href)});
    const server = await startPostgres(${JSON.stringify(cluster)});
    console.log(server.pid);
    setInterval(() => {}, 1000);`;
  const child = spawn(
    process.execPath,
    ['--conditions=@neon-snapshot/source', '--input-type=module', '-e', script],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: temporary.path } },
  );
  const [output] = await once(child.stdout, 'data');
  const pid = Number(output);
  expect(isProcessAlive(pid)).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const deadline = Date.now() + 10_000;
  const remains = async () =>
    (await isServerRunning(cluster.dataDirectory)) || (await readdir(temporary.path)).length > 0;
  while ((await remains()) && Date.now() < deadline) await delay(20);
  expect(await readdir(temporary.path)).toEqual([]);
  expect(await isServerRunning(cluster.dataDirectory)).toBe(false);
  await using server = await startPostgres(cluster);
  expect(server.pid).not.toBe(pid);
});

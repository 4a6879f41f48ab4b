import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectPq } from '../client/connect-pq.ts';
import { PqError } from '../pq-error.ts';
import { decodeServerFields } from '../server-fields.ts';
import {
  CHUNK,
  connectTo,
  listenWithAnswers,
  nothingObserved,
  type Observed,
} from '../testing/answering-server.ts';
import type { PqListener } from './listen-pq.ts';

let observed: Observed;
let server: PqListener;

beforeEach(async () => {
  observed = nothingObserved();
  server = await listenWithAnswers(observed);
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

describe('npm pg', () => {
  const withPg = async (use: (client: pg.Client) => Promise<void>) => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'me',
      password: 'token of me',
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      await use(client);
    } finally {
      await client.end();
    }
  };

  test('gets rows, commands, errors with SQLSTATE, and goes on after an error', async () => {
    await withPg(async (client) => {
      expect((await client.query('who')).rows).toEqual([
        { name: 'me', n: '7', nothing: null },
        { name: 'é', n: '8', nothing: '' },
      ]);
      await expect(client.query('state')).rejects.toMatchObject({ code: '22023', detail: 'd', hint: 'h' });
      await expect(client.query('nonsense')).rejects.toMatchObject({ code: 'XX000' });
      expect((await client.query('set a = b')).command).toBe('SET');
      expect((await client.query('')).rows).toEqual([]);
    });
    expect(observed.failures).toHaveLength(2);
  });

  test('runs a command by the extended protocol; parameters are refused and skipped over', async () => {
    await withPg(async (client) => {
      expect((await client.query({ name: 'p', text: 'set a = b' })).command).toBe('SET');
      await expect(client.query('set a = $1', ['x'])).rejects.toMatchObject({ code: '0A000' });
      expect((await client.query({ name: 'p', text: 'set a = b' })).command).toBe('SET');
    });
  });

  test('is refused with a wrong password', async () => {
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'me', password: 'wrong' });
    await expect(client.connect()).rejects.toMatchObject({ code: '28P01' });
  });
});

const PSQL = '/usr/lib/postgresql/15/bin/psql';

describe.runIf(existsSync(PSQL) || process.env.CI === 'true')(
  "psql (needs Debian's postgresql-client-15)",
  () => {
    const psql = (args: readonly string[], password = 'token of me') =>
      promisify(execFile)(
        PSQL,
        ['-X', '-At', '-h', '127.0.0.1', '-p', String(server.port), '-U', 'me', '-d', 'd', ...args],
        {
          env: { PGPASSWORD: password },
          maxBuffer: 64 * 1024 * 1024,
        },
      );

    test('asks for TLS first, is told no, and gets rows and a COPY', async () => {
      expect((await psql(['-c', 'who', '-c', 'set x'])).stdout).toBe('me|7|\né|8|\nSET\n');
      expect((await psql(['-c', 'bytes 100'])).stdout.trimEnd()).toHaveLength(100 * CHUNK.length);
    });

    test('shows the error and its SQLSTATE', async () => {
      await expect(psql(['-v', 'VERBOSITY=verbose', '-c', 'state'])).rejects.toMatchObject({
        stderr: expect.stringContaining('ERROR:  22023: no such state'),
      });
      await expect(psql(['-c', 'who'], 'wrong')).rejects.toMatchObject({
        stderr: expect.stringContaining('authentication of me failed'),
      });
    });

    test('cancels what runs with Ctrl-C', async () => {
      const running = psql(['-c', 'wait']);
      const cancelled = expect(running).rejects.toMatchObject({
        stderr: expect.stringContaining('canceling statement'),
      });
      await vi.waitUntil(() => observed.handled.length === 1);
      running.child.kill('SIGINT');
      await cancelled;
      expect(observed.aborts).toBe(1);
    });
  },
);

test('a handler sees who asks', async () => {
  await using connection = await connectTo(server);
  await connection.query('who');
  expect(observed.handled[0]).toMatchObject({
    sql: 'who',
    identity: 'me',
    startup: { user: 'me', database: 'd', applicationName: 'tests' },
  });
  expect(connection.parameters.get('server_version')).toBe('14.1');
});

test('many messages go both ways in order, and the connection takes the next command', async () => {
  await using connection = await connectTo(server);
  const stream = await connection.copyBoth('echo');
  for (let index = 0; index < 20_000; index++) stream.write(Buffer.from(`message ${index}`));
  for (let index = 0; index < 20_000; index++)
    expect(Buffer.from((await stream.read()) ?? []).toString()).toBe(`>message ${index}`);
  await stream.end();
  expect(await connection.query('set x')).toHaveLength(1);
  const short = await connection.copyBoth('say');
  expect(Buffer.from((await short.read()) ?? []).toString()).toBe('one message and good-bye');
  expect(await short.read()).toBeUndefined();
  expect(await connection.query('set x')).toHaveLength(1);
});

test('a client that does not read stops the handler, not the memory', async () => {
  const socket = connect({ host: '127.0.0.1', port: server.port });
  await using connection = await connectTo(server);
  const iterator = connection.copyOut('bytes 20000')[Symbol.asyncIterator]();
  await iterator.next();
  await delay(300);
  const made = observed.chunksMade;
  expect(made).toBeLessThan(500);
  await delay(100);
  expect(observed.chunksMade).toBe(made);
  socket.destroy();
});

test('a client that goes away aborts what runs for it, and that is no failure', async () => {
  const connection = await connectTo(server);
  const running = connection.query('wait').catch((error: unknown) => error);
  await vi.waitUntil(() => observed.handled.length === 1);
  await connection.close();
  expect(await running).toBeInstanceOf(PqError);
  await vi.waitUntil(() => observed.aborts === 1 && server.connectionCount === 0);
  expect(observed.failures).toEqual([]);
});

test('disposal tells clients that the server ends, aborts handlers, and waits', async () => {
  await using idle = await connectTo(server);
  const busy = await connectTo(server);
  const running = busy.query('wait').catch((error: unknown) => error);
  await vi.waitUntil(() => observed.handled.length === 1);
  await server[Symbol.asyncDispose]();
  expect(await running).toMatchObject({ code: 'PQ_NOT_READY', sqlState: '57P01' });
  await expect(idle.query('set x')).rejects.toMatchObject({ sqlState: '57P01' });
  expect({ aborts: observed.aborts, count: server.connectionCount }).toEqual({ aborts: 1, count: 0 });
  await expect(connectTo(server)).rejects.toMatchObject({ code: 'PQ_CONNECT' });
  server = await listenWithAnswers(observed);
});

test('clients over the limit are refused; who says nothing or does nothing is sent away', async () => {
  await server[Symbol.asyncDispose]();
  server = await listenWithAnswers(observed, {
    connectionsMax: 1,
    authenticationTimeoutMs: 200,
    idleTimeoutMs: 300,
  });
  {
    await using first = await connectTo(server);
    await expect(connectTo(server)).rejects.toMatchObject({ code: 'PQ_TOO_MANY_CONNECTIONS' });
    await vi.waitUntil(() => first.gone.aborted);
    await expect(first.query('set x')).rejects.toMatchObject({ sqlState: '57P05' });
  }
  await vi.waitUntil(() => server.connectionCount === 0);
  const socket = connect({ host: '127.0.0.1', port: server.port });
  const [data] = await Promise.all([
    new Promise<Buffer>((resolve) => socket.once('data', resolve)),
    new Promise((resolve) => socket.once('close', resolve)),
  ]);
  expect(decodeServerFields(data.subarray(5)).code).toBe('57P05');
});

test('a Unix socket serves too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'neon-pq-'));
  try {
    await using _listener = await listenWithAnswers(observed, {
      listen: { path: join(directory, '.s.PGSQL.5432') },
    });
    await using connection = await connectPq({
      host: directory,
      user: 'me',
      password: 'token of me',
      env: {},
    });
    expect(await connection.query('set x')).toHaveLength(1);
    await expect(
      listenWithAnswers(observed, { listen: { path: join(directory, 'no', 'x') } }),
    ).rejects.toMatchObject({
      code: 'PQ_CONNECT',
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});

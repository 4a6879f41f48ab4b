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
import { FrameParser } from '../frame-parser.ts';
import { isPqError, PqError } from '../pq-error.ts';
import { int8Column, textColumn } from '../row-codec.ts';
import { decodeServerFields } from '../server-fields.ts';
import { encodeStartupMessage } from '../startup-message.ts';
import { type ListenPqOptions, listenPq, type PqListener } from './listen-pq.ts';
import type { PqReply, PqRequest } from './pq-reply.ts';

const CHUNK = new Uint8Array(64 * 1024).fill(0x78);

let handled: PqRequest<string>[];
let aborts: number;
let failures: unknown[];
let chunksMade: number;
let server: PqListener;

async function* chunks(count: number): AsyncGenerator<Uint8Array, void, void> {
  for (let index = 0; index < count; index++) {
    chunksMade += 1;
    yield CHUNK;
  }
}

async function handle(request: PqRequest<string>): Promise<PqReply> {
  handled.push(request);
  const [word = '', argument = ''] = request.sql.split(' ');
  switch (word) {
    case 'who':
      return {
        kind: 'rows',
        columns: [textColumn('name'), int8Column('n'), textColumn('nothing')],
        rows: [
          [request.identity, '7', null],
          [Buffer.from('é'), '8', ''],
        ],
      };
    case 'set':
      return { kind: 'command', tag: 'SET' };
    case 'bytes':
      return { kind: 'copy-out', data: chunks(Number(argument)) };
    case 'echo':
      return {
        kind: 'copy-both',
        run: async (session) => {
          for (let batch = await session.readBatch(); batch.length > 0; batch = await session.readBatch()) {
            for (const message of batch) session.write(Buffer.from('>'), message);
            await session.flush();
          }
        },
      };
    case 'say':
      return {
        kind: 'copy-both',
        run: async (session) => {
          session.write(Buffer.from('one message and good-bye'));
        },
      };
    case 'wait':
      return await new Promise((_resolve, reject) => {
        request.signal.addEventListener('abort', () => {
          aborts += 1;
          reject(request.signal.reason);
        });
      });
    case 'state':
      throw new PqError({
        code: 'PQ_SERVER',
        operation: 'state',
        message: 'x',
        server: { severity: 'ERROR', code: '22023', message: 'no such state', detail: 'd', hint: 'h' },
      });
    default:
      throw new Error(`there is no command ${word}`);
  }
}

async function listen(options: Partial<ListenPqOptions<string>> = {}): Promise<PqListener> {
  return await listenPq({
    listen: { host: '127.0.0.1', port: 0 },
    authentication: {
      method: 'password',
      check: async ({ user }, password) => {
        if (password !== `token of ${user}`) throw new Error('wrong token');
        return user;
      },
    },
    handle,
    onError: (error) => failures.push(error),
    ...options,
  });
}

beforeEach(async () => {
  handled = [];
  failures = [];
  aborts = 0;
  chunksMade = 0;
  server = await listen();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

const ours = (password = 'token of me') =>
  connectPq({
    host: '127.0.0.1',
    port: server.port,
    user: 'me',
    database: 'd',
    password,
    applicationName: 'tests',
    allowCleartextPassword: true,
    env: {},
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
    expect(failures).toHaveLength(2);
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
      await vi.waitUntil(() => handled.length === 1);
      running.child.kill('SIGINT');
      await cancelled;
      expect(aborts).toBe(1);
    });
  },
);

test('a handler sees who asks', async () => {
  await using connection = await ours();
  await connection.query('who');
  expect(handled[0]).toMatchObject({
    sql: 'who',
    identity: 'me',
    startup: { user: 'me', database: 'd', applicationName: 'tests' },
  });
  expect(connection.parameters.get('server_version')).toBe('14.1');
});

test('many messages go both ways in order, and the connection takes the next command', async () => {
  await using connection = await ours();
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
  await using connection = await ours();
  const iterator = connection.copyOut('bytes 20000')[Symbol.asyncIterator]();
  await iterator.next();
  await delay(300);
  const made = chunksMade;
  expect(made).toBeLessThan(500);
  await delay(100);
  expect(chunksMade).toBe(made);
  socket.destroy();
});

test('a client that goes away aborts what runs for it, and that is no failure', async () => {
  const connection = await ours();
  const running = connection.query('wait').catch((error: unknown) => error);
  await vi.waitUntil(() => handled.length === 1);
  await connection.close();
  expect(await running).toBeInstanceOf(PqError);
  await vi.waitUntil(() => aborts === 1 && server.connectionCount === 0);
  expect(failures).toEqual([]);
});

test('disposal tells clients that the server ends, aborts handlers, and waits', async () => {
  await using idle = await ours();
  const busy = await ours();
  const running = busy.query('wait').catch((error: unknown) => error);
  await vi.waitUntil(() => handled.length === 1);
  await server[Symbol.asyncDispose]();
  expect(await running).toMatchObject({ code: 'PQ_NOT_READY', sqlState: '57P01' });
  await expect(idle.query('set x')).rejects.toMatchObject({ sqlState: '57P01' });
  expect({ aborts, count: server.connectionCount }).toEqual({ aborts: 1, count: 0 });
  await expect(ours()).rejects.toMatchObject({ code: 'PQ_CONNECT' });
  server = await listen();
});

test('clients over the limit are refused; who says nothing or does nothing is sent away', async () => {
  await server[Symbol.asyncDispose]();
  server = await listen({ connectionsMax: 1, authenticationTimeoutMs: 200, idleTimeoutMs: 300 });
  {
    await using first = await ours();
    await expect(ours()).rejects.toMatchObject({ code: 'PQ_TOO_MANY_CONNECTIONS' });
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
    await using _listener = await listen({ listen: { path: join(directory, '.s.PGSQL.5432') } });
    await using connection = await connectPq({
      host: directory,
      user: 'me',
      password: 'token of me',
      env: {},
    });
    expect(await connection.query('set x')).toHaveLength(1);
    await expect(listen({ listen: { path: join(directory, 'no', 'x') } })).rejects.toMatchObject({
      code: 'PQ_CONNECT',
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});

describe('hostile clients', () => {
  const message = (type: string, body: string | Buffer) => {
    const bytes = Buffer.from(body);
    const header = Buffer.alloc(5);
    header.write(type, 'latin1');
    header.writeUInt32BE(bytes.length + 4, 1);
    return Buffer.concat([header, bytes]);
  };
  const startup = encodeStartupMessage({
    kind: 'startup',
    minorVersion: 0,
    parameters: new Map([['user', 'me']]),
  });
  const conversation = Buffer.concat([
    encodeStartupMessage({ kind: 'ssl-request' }),
    startup,
    message('p', 'token of me\0'),
    message('Q', 'who\0'),
    message('Q', 'echo\0'),
    message('d', 'data'),
    message('c', ''),
    message('X', ''),
  ]);

  /** Sends bytes, ends our side, and gives what came back. */
  const converse = (bytes: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: server.port, allowHalfOpen: true });
      const received: Buffer[] = [];
      socket.on('data', (chunk) => received.push(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(Buffer.concat(received)));
      socket.end(bytes);
    });

  const errorsIn = (bytes: Buffer) => {
    const parser = new FrameParser({ messageBytesMax: 1e6, typed: true });
    parser.push(bytes[0] === 0x4e ? bytes.subarray(1) : bytes);
    const codes: string[] = [];
    for (let frame = parser.next(); frame; frame = parser.next())
      if (frame.type === 0x45) codes.push(decodeServerFields(frame.body).code);
    return codes;
  };

  test('a conversation cut at any byte ends quietly', async () => {
    for (let length = 0; length <= conversation.length; length += 1)
      expect(errorsIn(await converse(conversation.subarray(0, length)))).toEqual([]);
    await vi.waitUntil(() => server.connectionCount === 0);
    expect(failures).toEqual([]);
  });

  test('any flipped bit ends in an error message or a closed connection, and the server goes on', async () => {
    for (let bit = 0; bit < conversation.length * 8; bit += 5) {
      const flipped = Buffer.from(conversation);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await converse(flipped);
    }
    expect(failures.every((failure) => isPqError(failure) || failure instanceof Error)).toBe(true);
    await vi.waitUntil(() => server.connectionCount === 0);
    await using connection = await ours();
    expect(await connection.query('set x')).toHaveLength(1);
  });

  test.each([
    ['a startup message too long', Buffer.from([0, 1, 0, 0, 0, 3, 0, 0]), '08P01'],
    ['protocol 2', Buffer.from([0, 0, 0, 8, 0, 2, 0, 0]), '08P01'],
    ['no user', encodeStartupMessage({ kind: 'startup', minorVersion: 0, parameters: new Map() }), '28000'],
    ['a query in place of the password', Buffer.concat([startup, message('Q', 'who\0')]), '08P01'],
    ['a password too long', Buffer.concat([startup, message('p', Buffer.alloc(70_000))]), '08P01'],
    [
      'a query too long',
      Buffer.concat([startup, message('p', 'token of me\0'), Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff])]),
      '08P01',
    ],
    [
      'a query without its end',
      Buffer.concat([startup, message('p', 'token of me\0'), message('Q', 'who')]),
      '08P01',
    ],
    [
      'an unknown message',
      Buffer.concat([startup, message('p', 'token of me\0'), message('~', '')]),
      '08P01',
    ],
  ])('%s is answered with FATAL', async (_name, bytes, code) => {
    expect(errorsIn(await converse(bytes))).toEqual([code]);
  });

  test('a newer protocol is told what we speak', async () => {
    const newer = encodeStartupMessage({
      kind: 'startup',
      minorVersion: 2,
      parameters: new Map([
        ['user', 'me'],
        ['_pq_.x', '1'],
      ]),
    });
    const answer = await converse(Buffer.concat([newer, message('p', 'token of me\0'), message('X', '')]));
    expect(answer.toString('latin1', 0, 20)).toBe('v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0');
    expect(errorsIn(answer)).toEqual([]);
  });

  test('a copy that fails on either side leaves the session in order', async () => {
    const head = Buffer.concat([startup, message('p', 'token of me\0'), message('Q', 'echo\0')]);
    const failed = Buffer.concat([
      head,
      message('f', 'why not\0'),
      message('Q', 'set x\0'),
      message('X', ''),
    ]);
    const answer = await converse(failed);
    expect(errorsIn(answer)).toEqual(['57014']);
    expect(answer.includes('SET')).toBe(true);
  });
});

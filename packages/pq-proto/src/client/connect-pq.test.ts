import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chown, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type PostgresServer, startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Cluster, makeCluster, PASSWORD } from '../testing/cluster.ts';
import { type ConnectPqOptions, connectPq } from './connect-pq.ts';

const HBA = [
  'local all all trust',
  'host all scram all scram-sha-256',
  'host all md5user all md5',
  'host all clear all password',
  'host all nobody all reject',
  'hostssl all tlsonly all scram-sha-256',
  'host replication all all scram-sha-256',
  'host all all all scram-sha-256',
].join('\n');

const hasOpenssl = spawnSync('openssl', ['version']).status === 0 || process.env.CI === 'true';

let cluster: Cluster;
let server: PostgresServer;

async function writeForServer(name: string, content: string | Buffer): Promise<string> {
  const path = join(cluster.dataDirectory, name);
  const { uid, gid } = await stat(cluster.dataDirectory);
  await writeFile(path, content, { mode: 0o600 });
  await chown(path, uid, gid);
  return path;
}

async function makeCertificate(): Promise<void> {
  const [key, certificate] = [join(cluster.directory, 'key.pem'), join(cluster.directory, 'cert.pem')];
  execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...[
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
      '-keyout',
      key,
      '-out',
      certificate,
    ],
  ]);
  await writeForServer('server.key', await readFile(key));
  await writeForServer('server.crt', await readFile(certificate));
}

beforeAll(async () => {
  cluster = await makeCluster(17);
  if (hasOpenssl) await makeCertificate();
  server = await startPostgres({
    ...cluster,
    listen: 'loopback',
    settings: {
      hba_file: await writeForServer('test_hba.conf', HBA),
      ssl: hasOpenssl,
      max_wal_senders: 2,
      max_replication_slots: 4,
    },
  });
  await server.query(`
    CREATE ROLE scram LOGIN PASSWORD 's' REPLICATION; CREATE ROLE nobody LOGIN; CREATE ROLE tlsonly LOGIN PASSWORD 't';
    CREATE ROLE plain LOGIN PASSWORD 'p'; SET password_encryption = md5; CREATE ROLE md5user LOGIN PASSWORD 'm';
    SET password_encryption = 'scram-sha-256'; CREATE ROLE clear LOGIN PASSWORD 'c'`);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const tcp = (options: ConnectPqOptions): ConnectPqOptions => ({
  host: 'localhost',
  port: server.port,
  database: 'postgres',
  env: { HOME: cluster.directory },
  tls: 'disable',
  ...options,
});

async function whoAmI(options: ConnectPqOptions): Promise<string | null | undefined> {
  await using connection = await connectPq(options);
  const [result] = await connection.query('SELECT current_user');
  return result?.rows[0]?.[0];
}

test('a Unix socket needs no password where it is trusted, and gives rows as text', async () => {
  await using connection = await connectPq({
    host: server.socketDirectory,
    port: server.port,
    user: 'postgres',
  });
  expect(connection).toMatchObject({ serverMajor: 17, encrypted: false });
  const results = await connection.query(
    `SELECT 1 AS a, NULL AS b, 'é' AS c; CREATE TEMP TABLE t (); SELECT 2 AS a`,
  );
  expect(results.map(({ rows, commandTag }) => ({ rows, commandTag }))).toEqual([
    { rows: [['1', null, 'é']], commandTag: 'SELECT 1' },
    { rows: [], commandTag: 'CREATE TABLE' },
    { rows: [['2']], commandTag: 'SELECT 1' },
  ]);
  expect(results[0]?.columns.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
});

test.each([
  ['SCRAM-SHA-256', 'scram', 's'],
  ['SCRAM-SHA-256 with a password that SASLprep changes', 'postgres', PASSWORD],
  ['md5', 'md5user', 'm'],
  ['password, which was allowed', 'clear', 'c'],
])('authenticates by %s', async (_method, user, password) => {
  expect(await whoAmI(tcp({ user, password, allowCleartextPassword: true }))).toBe(user);
});

test('a password in clear text does not leave without TLS unless allowed', async () => {
  await expect(connectPq(tcp({ user: 'clear', password: 'c' }))).rejects.toMatchObject({
    code: 'PQ_UNSUPPORTED',
  });
});

test.each(['scram', 'md5user', 'clear'])(
  'a wrong password of %s is an authentication error with its SQLSTATE',
  async (user) => {
    const error = await connectPq(tcp({ user, password: 'wr0ng', allowCleartextPassword: true })).catch(
      (e) => e,
    );
    expect(error).toMatchObject({ code: 'PQ_AUTHENTICATION', sqlState: '28P01' });
    expect(JSON.stringify(error) + error.message).not.toContain('wr0ng');
  },
);

test('a rule that rejects is an authentication error', async () => {
  await expect(connectPq(tcp({ user: 'nobody' }))).rejects.toMatchObject({
    code: 'PQ_AUTHENTICATION',
    sqlState: '28000',
  });
});

test('the password comes from the password file, and its absence names the place', async () => {
  await expect(connectPq(tcp({ user: 'scram' }))).rejects.toMatchObject({
    code: 'PQ_PASSWORD_MISSING',
    message: expect.stringContaining(join(cluster.directory, '.pgpass')),
  });
  const passfile = join(cluster.directory, 'passfile');
  await writeFile(passfile, `localhost:${server.port}:postgres:scram:s\n`, { mode: 0o600 });
  expect(await whoAmI(tcp({ user: 'scram', passfile }))).toBe('scram');
  await expect(connectPq(tcp({ user: 'scram', passfile, replication: 'physical' }))).rejects.toMatchObject({
    code: 'PQ_PASSWORD_MISSING',
  });
  await appendFile(passfile, `*:*:replication:scram:s\n`);
  await using connection = await connectPq(tcp({ user: 'scram', passfile, replication: 'physical' }));
  expect((await connection.identifySystem()).timeLineId).toBe(1);
});

test('a role without REPLICATION gets no walsender', async () => {
  await expect(
    connectPq(tcp({ user: 'plain', password: 'p', replication: 'physical' })),
  ).rejects.toMatchObject({ code: 'PQ_NO_PRIVILEGE', sqlState: '42501' });
});

test('max_wal_senders in use is its own error', async () => {
  const options = tcp({ user: 'scram', password: 's', replication: 'physical' });
  await vi.waitUntil(async () => (await server.query('SELECT FROM pg_stat_replication')).length === 0);
  await using _first = await connectPq(options);
  await using _second = await connectPq(options);
  await expect(connectPq(options)).rejects.toMatchObject({
    code: 'PQ_TOO_MANY_CONNECTIONS',
    sqlState: '53300',
    message: expect.stringContaining('max_wal_senders'),
  });
});

describe.runIf(hasOpenssl)('TLS (needs openssl to make a certificate)', () => {
  const certificate = () => join(cluster.directory, 'cert.pem');

  test.each(['prefer', 'require'] as const)('%s encrypts, and binds SCRAM to the channel', async (tls) => {
    const env = { HOME: cluster.directory, PGCHANNELBINDING: 'require' };
    await using connection = await connectPq(tcp({ user: 'tlsonly', password: 't', tls, env }));
    expect(connection.encrypted).toBe(true);
    const [result] = await connection.query(
      'SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    expect(result?.rows).toEqual([['t', 'TLSv1.3']]);
  });

  test('a clear password needs no leave over TLS', async () => {
    expect(await whoAmI(tcp({ user: 'clear', password: 'c', tls: 'require' }))).toBe('clear');
  });

  test('verify-full accepts the right certificate for the right host only', async () => {
    const options = { user: 'tlsonly', password: 't', tlsRootCertificate: certificate() };
    expect(await whoAmI(tcp({ ...options, tls: 'verify-full' }))).toBe('tlsonly');
    expect(await whoAmI(tcp({ ...options, tls: 'verify-ca', host: '127.0.0.1' }))).toBe('tlsonly');
    await expect(connectPq(tcp({ ...options, tls: 'verify-full', host: '127.0.0.1' }))).rejects.toMatchObject(
      {
        code: 'PQ_TLS',
      },
    );
    for (const tls of ['verify-ca', 'verify-full'] as const)
      await expect(connectPq(tcp({ ...options, tls, tlsRootCertificate: 'system' }))).rejects.toMatchObject({
        code: 'PQ_TLS',
      });
    await expect(
      connectPq(tcp({ ...options, tls: 'verify-ca', tlsRootCertificate: '/nowhere.pem' })),
    ).rejects.toMatchObject({ code: 'PQ_TLS', context: { file: '/nowhere.pem' } });
  });
});

test('a server without TLS is used where it is preferred, and refused where it is required', async () => {
  await using cluster14 = await makeCluster(14);
  await using plain = await startPostgres({
    ...cluster14,
    listen: 'loopback',
    settings: { wal_level: 'minimal', max_wal_senders: 0 },
  });
  const options = { host: '127.0.0.1', port: plain.port, user: 'postgres', password: PASSWORD, env: {} };
  expect(await whoAmI({ ...options, tls: 'prefer' })).toBe('postgres');
  await expect(connectPq({ ...options, tls: 'require' })).rejects.toMatchObject({ code: 'PQ_TLS' });
  // The same server writes too little WAL to be replicated.
  await expect(connectPq({ ...options, replication: 'physical' })).rejects.toMatchObject({
    code: 'PQ_WAL_LEVEL',
  });
});

test('nobody listening, an unknown name and a server that keeps silent are errors of their own', async () => {
  await expect(connectPq({ host: '127.0.0.1', port: 1, user: 'x' })).rejects.toMatchObject({
    code: 'PQ_CONNECT',
  });
  await expect(connectPq({ host: '/nowhere', port: 1, user: 'x' })).rejects.toMatchObject({
    code: 'PQ_CONNECT',
  });
  await using silent = await fakeServer(() => undefined);
  const options = { host: '127.0.0.1', port: silent.port, user: 'x' };
  await expect(connectPq({ ...options, connectTimeoutMs: 50 })).rejects.toMatchObject({ code: 'PQ_TIMEOUT' });
  await expect(connectPq({ ...options, signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
    code: 'PQ_ABORTED',
  });
  await using rude = await fakeServer((socket) => socket.destroy());
  await expect(connectPq({ ...options, port: rude.port, tls: 'disable' })).rejects.toMatchObject({
    code: 'PQ_CLOSED',
  });
  await using web = await fakeServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await expect(connectPq({ ...options, port: web.port, tls: 'require' })).rejects.toMatchObject({
    code: 'PQ_TLS',
  });
  await expect(connectPq({ ...options, port: web.port, tls: 'disable' })).rejects.toMatchObject({
    code: 'PQ_TOO_LARGE',
  });
});

test('bytes slipped in before the TLS handshake are refused', async () => {
  await using server_ = await fakeServer((socket) => socket.write('Sevil'));
  await expect(
    connectPq({ host: '127.0.0.1', port: server_.port, user: 'x', tls: 'require' }),
  ).rejects.toMatchObject({
    code: 'PQ_TLS',
    message: expect.stringContaining('in between'),
  });
});

test('an abort in the middle of a query ends it and the connection; a second command has to wait its turn', async () => {
  await using connection = await connectPq(tcp({ user: 'scram', password: 's' }));
  const running = connection.query('SELECT pg_sleep(30)', { signal: AbortSignal.timeout(200) });
  await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'PQ_BUSY' });
  await expect(running).rejects.toMatchObject({ code: 'PQ_ABORTED' });
  await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'PQ_ABORTED' });
});

test('a failing statement leaves the connection usable, a terminated one says why', async () => {
  await using connection = await connectPq(tcp({ user: 'scram', password: 's' }));
  await expect(connection.query('SELECT nothing')).rejects.toMatchObject({
    code: 'PQ_SERVER',
    sqlState: '42703',
    server: { position: '8' },
  });
  const [result] = await connection.query('SELECT pg_backend_pid()');
  const terminated = expect(connection.query('SELECT pg_sleep(30)')).rejects.toMatchObject({
    code: 'PQ_NOT_READY',
    sqlState: '57P01',
  });
  await server.query(`SELECT pg_terminate_backend(${result?.rows[0]?.[0]})`);
  await terminated;
  expect(connection.gone.aborted).toBe(true);
});

test('COPY is streamed to its end, and ends the connection where it is not read', async () => {
  await using connection = await connectPq(tcp({ user: 'scram', password: 's' }));
  let bytes = 0;
  for await (const chunk of connection.copyOut(
    "COPY (SELECT repeat('x', 999) FROM generate_series(1, 5000)) TO STDOUT",
  ))
    bytes += chunk.length;
  expect(bytes).toBe(5_000_000);
  for await (const _chunk of connection.copyOut('COPY (SELECT 1 FROM generate_series(1, 5000)) TO STDOUT'))
    break;
  await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'PQ_CLOSED' });
});

async function fakeServer(
  accept: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => accept(socket));
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

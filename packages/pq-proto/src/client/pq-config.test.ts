import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isConnectionString } from './conninfo.ts';
import { findPassword, lookUpPassfile } from './passfile.ts';
import { resolvePqConfig } from './pq-config.ts';

const resolve = (connectionString: string, env: Record<string, string> = {}) =>
  resolvePqConfig({ connectionString, env: { HOME: '/home/me', ...env } });

test.each([
  [
    'postgresql://us%20er:p%40ss%2F@db.example:6543/app?sslmode=disable&application_name=x',
    {
      user: 'us er',
      password: 'p@ss/',
      host: 'db.example',
      port: 6543,
      database: 'app',
      tls: 'disable',
      applicationName: 'x',
    },
  ],
  ['postgres://[::1]:5433', { host: '::1', port: 5433 }],
  ['postgresql://%2Fvar%2Frun%2Fpostgresql/app', { host: '/var/run/postgresql', database: 'app' }],
  ['postgresql:///app?host=/tmp&port=7', { host: '/tmp', port: 7, database: 'app' }],
  ['postgresql://me@/?replication=true', { user: 'me', replication: 'physical', host: undefined }],
  [
    String.raw`host = 'a b' port=1 password='it\'s \\' application_name=a\ b replication=database`,
    { host: 'a b', port: 1, password: "it's \\", applicationName: 'a b', replication: 'database' },
  ],
  ['host=h sslmode=require sslrootcert=/ca.pem', { tls: 'verify-ca', tlsRootCertificate: '/ca.pem' }],
  ['host=h sslrootcert=system', { tls: 'verify-full', tlsRootCertificate: 'system' }],
  ['host=h sslmode=allow connect_timeout=3', { tls: 'prefer', connectTimeoutMs: 3000 }],
])('%s is understood as libpq does', (text, expected) => {
  expect(isConnectionString(text)).toBe(true);
  expect(resolve(text)).toMatchObject(expected);
});

test('options go before the connection string, that before PG* variables, those before defaults', () => {
  const env = {
    PGHOST: 'env',
    PGPORT: '1',
    PGUSER: 'envuser',
    PGDATABASE: 'envdb',
    PGPASSFILE: '/p',
    HOME: '/home/me',
  };
  const config = resolvePqConfig({ connectionString: 'host=string user=string', user: 'option', env });
  expect(config).toMatchObject({
    host: 'string',
    user: 'option',
    port: 1,
    database: 'envdb',
    passfile: '/p',
  });
  expect(resolvePqConfig({ user: 'u', env: { HOME: '/home/me' } })).toMatchObject({
    host: undefined,
    port: 5432,
    database: 'u',
    tls: 'prefer',
    passfile: '/home/me/.pgpass',
    channelBinding: 'prefer',
  });
});

test.each([
  ['postgresql://a,b/x', 'PQ_UNSUPPORTED'],
  ['host=a,b', 'PQ_UNSUPPORTED'],
  ['host=a port=1,2', 'PQ_UNSUPPORTED'],
  ['service=mine', 'PQ_UNSUPPORTED'],
  ['target_session_attrs=read-write', 'PQ_UNSUPPORTED'],
  ['require_auth=md5', 'PQ_UNSUPPORTED'],
  ['host=a port=0', 'PQ_INVALID_ARGUMENT'],
  ['host=a port=99999', 'PQ_INVALID_ARGUMENT'],
  ['host=a sslmode=sure', 'PQ_INVALID_ARGUMENT'],
  ['host=a replication=maybe', 'PQ_INVALID_ARGUMENT'],
  ["host='a", 'PQ_INVALID_ARGUMENT'],
  ['postgresql://a%zz/', 'PQ_INVALID_ARGUMENT'],
  ['postgresql://a%00/', 'PQ_INVALID_ARGUMENT'],
  ['postgresql://a/?sslmode', 'PQ_INVALID_ARGUMENT'],
])('%s is %s', (text, code) => {
  expect(() => resolve(text)).toThrow(expect.objectContaining({ code }));
});

test('no error repeats a password', () => {
  for (const text of [
    'postgresql://u:s3cret@a:x:y/',
    "password=s3cret host='",
    'postgresql://u:s3cret%zz@a/',
  ])
    expect(() => resolve(text)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('s3cret') }),
    );
});

test('paths and storage URLs are no connection strings', () => {
  for (const text of ['/var/lib/x', 's3://bucket/a=b', './data', 'file:///x?y=z', 'data=1.tar'])
    expect(isConnectionString(text)).toBe(text === 'data=1.tar');
});

test('a password file is searched line by line, with wildcards and escapes', () => {
  const query = { host: 'db:1', port: 5432, database: 'replication', user: 'me' };
  const lines = [
    '# db\\:1:*:*:me:no',
    'broken',
    'other:5432:*:me:no',
    'db\\:1:5433:*:me:no',
    'db\\:1:*:replication:me:p\\:a\\\\ss:word',
    '*:*:*:*:late',
  ];
  expect(findPassword(lines.join('\n'), query)).toBe('p:a\\ss:word');
  expect(findPassword(lines.join('\r\n'), { ...query, host: 'x' })).toBe('late');
  expect(findPassword('db\\:1:5432:*:you:x', query)).toBeUndefined();
});

test('a password file that others may read is not used, and the answer says so', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'neon-passfile-'));
  try {
    const path = join(directory, 'pgpass');
    const query = { host: 'h', port: 1, database: 'd', user: 'u' };
    expect(await lookUpPassfile(path, query)).toEqual({});
    await writeFile(path, '*:*:*:*:secret\n', { mode: 0o600 });
    expect(await lookUpPassfile(path, query)).toEqual({ password: 'secret' });
    await chmod(path, 0o640);
    expect(await lookUpPassfile(path, query)).toEqual({ ignored: expect.stringContaining('chmod 0600') });
  } finally {
    await rm(directory, { recursive: true });
  }
});

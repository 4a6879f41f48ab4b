import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { type S3TestServerOptions, startS3TestServer } from '@neon-snapshot/s3-test-server';
import type { Storage } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import type { S3StorageOptions } from './options.ts';
import { failureOf, serve } from './testing/with-server.ts';

const SECRET = 'a-secret-that-nobody-may-see';
const TOKEN = 'a-token-that-nobody-may-see';

const verbs: readonly [string, (storage: Storage) => Promise<unknown>][] = [
  ['head', (storage) => storage.head('dir/key')],
  ['get', (storage) => storage.get('dir/key')],
  ['put', (storage) => storage.put('dir/key', new Uint8Array(1))],
  ['delete', (storage) => storage.delete(['dir/key'])],
  [
    'list',
    async (storage) => {
      for await (const _ of storage.list());
    },
  ],
];

interface FailureCase {
  readonly what: string;
  readonly options?: Partial<S3StorageOptions>;
  readonly server?: S3TestServerOptions;
  readonly code: string;
  /** What the message of every verb must say; HEAD has no error document, so it may know less. */
  readonly says: RegExp;
  readonly headSays?: RegExp;
}

const cases: readonly FailureCase[] = [
  {
    what: 'a wrong secret key',
    options: {
      credentials: { accessKeyId: 'TESTKEY', secretAccessKey: SECRET },
      credentialSource: 'NEON_STORAGE_*',
    },
    code: 'STORAGE_ACCESS_DENIED',
    says: /secret key does not belong.*used: key id TESTKEY from NEON_STORAGE_\*/,
    headSays: /used: key id TESTKEY from NEON_STORAGE_\*/,
  },
  {
    what: 'an unknown key id',
    options: { credentials: { accessKeyId: 'OTHERKEY', secretAccessKey: SECRET } },
    code: 'STORAGE_ACCESS_DENIED',
    says: /does not know this key id.*OTHERKEY/,
    headSays: /OTHERKEY/,
  },
  {
    what: 'a wrong session token',
    options: { credentials: { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET', sessionToken: TOKEN } },
    code: 'STORAGE_ACCESS_DENIED',
    says: /session token is not valid/,
    headSays: /./,
  },
  {
    what: 'a bucket that does not exist',
    options: { bucket: 'no-such-bucket' },
    code: 'STORAGE_BUCKET_NOT_FOUND',
    says: /no bucket no-such-bucket at http:\/\/127\.0\.0\.1:\d+/,
  },
  {
    what: 'the wrong region',
    server: { region: 'eu-central-1' },
    code: 'STORAGE_INVALID_OPTION',
    says: /its region is eu-central-1: set region=eu-central-1/,
  },
];

test.each(cases)('$what is one typed error for every verb, without a secret', async (failure) => {
  for (const [verb, work] of verbs) {
    await using served = await serve({ ...failure.options, retriesMax: 0 }, failure.server);
    const error = await failureOf(work(served.storage));
    if (verb === 'head' && failure.headSays !== undefined && error.code !== failure.code) {
      // HEAD: 400 and no document.
      expect(error.code).toBe('STORAGE_IO');
    } else {
      expect(`${verb}: ${error.code}`).toBe(`${verb}: ${failure.code}`);
      expect(error.message).toMatch(verb === 'head' ? (failure.headSays ?? failure.says) : failure.says);
    }
    expect(error.operation).toBe(verb);
    const everything = inspect(error, { depth: 12, showHidden: true }) + JSON.stringify(error);
    for (const secret of [SECRET, TOKEN, 'TESTSECRET']) expect(everything).not.toContain(secret);
  }
});

test('A wrong clock of this machine is corrected by the time in the answer', async () => {
  await using served = await serve({ retriesMax: 0 }, { clockOffsetMs: 3_600_000 });
  await served.storage.put('key', new Uint8Array(1));
  expect(await served.storage.head('key')).toMatchObject({ sizeBytes: 1 });
  expect(served.server.log.entries().map(({ status }) => status)).toEqual([403, 200, 200]);
});

test.each([
  ['a port where nobody listens', 'http://127.0.0.1:9', 'STORAGE_UNAVAILABLE', /refuses the connection/],
  [
    'a host that does not exist',
    'http://no-such-host.invalid',
    'STORAGE_UNAVAILABLE',
    /does not resolve|DNS/,
  ],
])('An endpoint with %s is named, after a few attempts', async (_, endpoint, code, says) => {
  await using served = await serve({ endpoint });
  const error = await failureOf(served.storage.head('key'));
  expect(error).toMatchObject({ code, retryable: true, context: { endpoint } });
  expect(error.message).toMatch(says);
  expect(error.message).toContain(endpoint);
  expect(served.delays.length).toBeLessThanOrEqual(3);
});

test('An https endpoint that speaks plain http is told so', async () => {
  await using plain = await startS3TestServer();
  await using served = await serve({ endpoint: plain.endpoint.replace('http:', 'https:'), retriesMax: 0 });
  const error = await failureOf(served.storage.head('key'));
  expect(error.message).toContain('does not speak TLS');
});

test('An answer that is not of S3 is an error of its status', async () => {
  await using served = await serve({ retriesMax: 0 });
  served.server.inject({ effect: { kind: 'error', status: 418, code: 'Teapot' } });
  expect(await failureOf(served.storage.get('key'))).toMatchObject({
    code: 'STORAGE_IO',
    context: { status: 418, s3Code: 'Teapot' },
  });
});

test.each([
  [{ status: 507, code: 'InsufficientStorage' }, 'STORAGE_NO_SPACE', false],
  [{ status: 403, code: 'QuotaExceeded' }, 'STORAGE_NO_SPACE', false],
  [{ status: 400, code: 'EntityTooLarge' }, 'STORAGE_TOO_LARGE', false],
  [{ status: 400, code: 'KeyTooLongError' }, 'STORAGE_INVALID_KEY', false],
  [{ status: 400, code: 'XMinioInvalidObjectName' }, 'STORAGE_INVALID_KEY', false],
  [{ status: 400, code: 'RequestTimeout' }, 'STORAGE_TIMEOUT', true],
  [{ status: 429, code: 'TooManyRequests' }, 'STORAGE_THROTTLED', true],
  [{ status: 503, code: 'ServiceUnavailable' }, 'STORAGE_THROTTLED', true],
  [{ status: 403, code: 'AccessDenied' }, 'STORAGE_ACCESS_DENIED', false],
  [{ status: 400, code: 'KMS.DisabledException' }, 'STORAGE_ACCESS_DENIED', false],
])('%o is %s', async (answer, code, retryable) => {
  await using served = await serve({ retriesMax: 0 });
  served.server.inject({ operation: 'PutObject', effect: { kind: 'error', ...answer } });
  const error = await failureOf(served.storage.put('key', new Uint8Array(3)));
  expect(error).toMatchObject({ code, retryable });
});

const CONSOLE_PAGE = '<html><body>Welcome</body></html>';

test.each([
  ['200 with a page', 200, CONSOLE_PAGE],
  ['200 with nothing', 200, ''],
  ['200 with JSON', 200, '{"ok":true}'],
  ['302 to a login', 302, ''],
  ['400 with a page', 400, CONSOLE_PAGE],
  ['404', 404, ''],
])('A web server that answers %s is not taken for S3: nothing is "stored" there', async (_, status, page) => {
  await using web = await serveHttp((_request, response) => {
    response.writeHead(status, { 'content-type': 'text/html', location: '/login' });
    response.end(page);
  });
  await using served = await serve({ endpoint: web.endpoint });
  const listing = failureOf(Array.fromAsync(served.storage.list()));
  expect((await listing).message).toMatch(/S3 endpoint|endpoint of the S3 API/);
  const put = await failureOf(served.storage.put('key', new Uint8Array(3)));
  expect(put).toMatchObject({ retryable: false });
});

test('An answer without an end is given up at its limit', async () => {
  const chunk = Buffer.alloc(2 ** 20, '<');
  await using web = await serveHttp((_request, response) => {
    const send = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', send);
    send();
  });
  await using served = await serve({ endpoint: web.endpoint });
  const error = await failureOf(Array.fromAsync(served.storage.list()));
  expect(error.message).toContain('more than 16777216 bytes');
});

test('A server that takes connections and says nothing is given up after one wait', async () => {
  await using web = await serveHttp(() => undefined);
  await using served = await serve({ endpoint: web.endpoint, idleTimeoutMs: 200 });
  const error = await failureOf(Array.fromAsync(served.storage.list()));
  expect(error).toMatchObject({ code: 'STORAGE_TIMEOUT', context: { endpoint: web.endpoint } });
  expect(served.delays).toEqual([]);
});

async function serveHttp(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

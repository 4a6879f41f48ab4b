import { expect, test } from 'vitest';
import { failureOf, MIB, pattern, readWhole, serve } from './testing/with-server.ts';

const KEY = 'lease.json';
const PART = 5 * MIB;
const bytesOf = (text: string) => new TextEncoder().encode(text);

test('A conditional put whose answer was lost is recognised as our own', async () => {
  await using served = await serve();
  const { server, storage } = served;
  server.inject({ operation: 'PutObject', effect: { kind: 'reset', when: 'after-commit' } });
  const { etag } = await storage.put(KEY, bytesOf('mine'), { ifNoneMatch: '*' });
  server.inject({ operation: 'PutObject', effect: { kind: 'reset', when: 'after-commit' } });
  const next = await storage.put(KEY, bytesOf('mine too'), { ifMatch: etag ?? '' });
  expect(next.etag).toBe((await storage.head(KEY)).etag);
});

test("Another writer's object is not taken for our own after a lost request", async () => {
  await using served = await serve();
  const { server, storage } = served;
  await storage.put(KEY, bytesOf('theirs'));
  server.inject({ operation: 'PutObject', effect: { kind: 'reset', when: 'before' } });
  const putting = storage.put(KEY, bytesOf('theirs'), { ifNoneMatch: '*' });
  expect(await failureOf(putting)).toMatchObject({ code: 'STORAGE_ALREADY_EXISTS', key: KEY });
});

test('A conflict with a write that is going on is tried again', async () => {
  await using served = await serve();
  const { server, storage } = served;
  const conflict = { kind: 'error', status: 409, code: 'ConditionalRequestConflict' } as const;
  server.inject({ operation: 'PutObject', times: 2, effect: conflict });
  await storage.put(KEY, bytesOf('x'), { ifNoneMatch: '*' });
  expect(server.log.count('PutObject')).toBe(3);
});

test('A server that answers 501 lacks conditional put, and the error says so', async () => {
  await using served = await serve({}, { quirks: { conditionalPut: 'not-implemented' } });
  const error = await failureOf(served.storage.put(KEY, bytesOf('x'), { ifNoneMatch: '*' }));
  expect(error).toMatchObject({ code: 'STORAGE_UNSUPPORTED', retryable: false });
  expect(error.message).toContain('has no conditional put');
});

test('With conditional_put=false a condition is refused before any request', async () => {
  await using served = await serve({ conditionalPut: false });
  const putting = served.storage.put(KEY, bytesOf('x'), { ifNoneMatch: '*' });
  expect(await failureOf(putting)).toMatchObject({ code: 'STORAGE_UNSUPPORTED' });
  expect(served.server.log.count()).toBe(0);
});

test('A server that wants If-Match without quotes gets it so, from the second time at once', async () => {
  await using served = await serve({}, { quirks: { ifMatchUnquotedOnly: true } });
  const { server, storage } = served;
  const first = await storage.put(KEY, bytesOf('1'));
  const second = await storage.put(KEY, bytesOf('2'), { ifMatch: first.etag ?? '' });
  server.log.clear();
  await storage.put(KEY, bytesOf('3'), { ifMatch: second.etag ?? '' });
  expect(server.log.entries().map((entry) => entry.headers['if-match'])).toEqual([second.etag]);
  const late = storage.put(KEY, bytesOf('4'), { ifMatch: second.etag ?? '' });
  expect(await failureOf(late)).toMatchObject({ code: 'STORAGE_PRECONDITION_FAILED' });
});

test.each(['supported', 'ignored'] as const)(
  'A large conditional put is refused where completions have conditions %s',
  async (conditionalComplete) => {
    await using served = await serve({ partSizeBytes: PART }, { quirks: { conditionalComplete } });
    const { server, storage } = served;
    const { etag } = await storage.put(KEY, bytesOf('old'));
    const body = pattern(PART + 1);
    expect(await failureOf(storage.put(KEY, body, { ifNoneMatch: '*' }))).toMatchObject({
      code: 'STORAGE_ALREADY_EXISTS',
    });
    expect(await failureOf(storage.put(KEY, body, { ifMatch: 'other' }))).toMatchObject({
      code: 'STORAGE_PRECONDITION_FAILED',
    });
    // Refused by a look before the first part is sent.
    expect(server.log.count('UploadPart')).toBe(0);
    await storage.put(KEY, body, { ifMatch: etag ?? '' });
    expect(Buffer.compare(await readWhole(storage, KEY), body)).toBe(0);
  },
);

test('An object that appears while the parts are sent is not overwritten', async () => {
  await using served = await serve({ partSizeBytes: PART });
  const { server, storage } = served;
  const body = async function* () {
    yield pattern(PART + 1);
    await storage.put(KEY, bytesOf('theirs'));
  };
  expect(await failureOf(storage.put(KEY, body(), { ifNoneMatch: '*' }))).toMatchObject({
    code: 'STORAGE_ALREADY_EXISTS',
  });
  expect(await readWhole(storage, KEY)).toEqual(Buffer.from('theirs'));
  expect(server.openUploads('bucket')).toBe(0);
});

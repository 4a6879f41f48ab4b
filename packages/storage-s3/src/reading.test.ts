import { expect, test } from 'vitest';
import { failureOf, MIB, pattern, readWhole, serve } from './testing/with-server.ts';

const KEY = 'dir/object';

test.each(['reset', 'end'] as const)(
  'A body cut by a %s goes on at the right byte of the same version',
  async (how) => {
    await using served = await serve();
    const { server, storage } = served;
    const bytes = pattern(3 * MIB);
    const { etag } = await storage.put(KEY, bytes);
    server.inject({ operation: 'GetObject', effect: { kind: 'cut', afterBytes: MIB, how } });
    server.inject({ operation: 'GetObject', effect: { kind: 'cut', afterBytes: 10, how } });
    expect(Buffer.compare(await readWhole(storage, KEY), bytes)).toBe(0);
    const [, second, third] = server.log.entries('GetObject');
    expect(second?.headers['if-match']).toBe(`"${etag}"`);
    expect(third?.headers.range).toMatch(/^bytes=\d+-3145727$/);
  },
);

test('A range that is cut goes on inside the range', async () => {
  await using served = await serve();
  const { server, storage } = served;
  const bytes = pattern(MIB);
  await storage.put(KEY, bytes);
  server.inject({ operation: 'GetObject', effect: { kind: 'cut', afterBytes: 1000, how: 'end' } });
  const found = await readWhole(storage, KEY, { offset: 5000, length: 500_000 });
  expect(Buffer.compare(found, bytes.subarray(5000, 505_000))).toBe(0);
  expect(server.log.entries('GetObject').map((entry) => entry.headers.range)).toEqual([
    'bytes=5000-504999',
    'bytes=6000-504999',
  ]);
});

test('A body on which nothing moves is given up after the idle timeout and resumed', async () => {
  await using served = await serve({ idleTimeoutMs: 300 });
  const { server, storage } = served;
  const bytes = pattern(MIB);
  await storage.put(KEY, bytes);
  server.inject({ operation: 'GetObject', effect: { kind: 'cut', afterBytes: 100_000, how: 'stall' } });
  expect(Buffer.compare(await readWhole(storage, KEY), bytes)).toBe(0);
});

test('Reads that break again and again without a byte in between are given up', async () => {
  await using served = await serve({ rangeRetriesMax: 3 });
  const { server, storage } = served;
  await storage.put(KEY, pattern(MIB));
  const fault = server.inject({
    operation: 'GetObject',
    times: Number.POSITIVE_INFINITY,
    effect: { kind: 'cut', afterBytes: 0, how: 'end' },
  });
  const error = await failureOf(readWhole(storage, KEY));
  expect(error).toMatchObject({ operation: 'get', key: KEY, retryable: true });
  expect(fault.hits).toBe(4);
});

test('An object that was replaced between two connections is refused, not mixed', async () => {
  await using served = await serve();
  const { server, storage } = served;
  await storage.put(KEY, pattern(4 * MIB, 1));
  server.inject({ operation: 'GetObject', effect: { kind: 'cut', afterBytes: 2 * MIB, how: 'end' } });
  const { body } = await storage.get(KEY);
  const reading = (async () => {
    let replaced = false;
    for await (const _ of body) {
      if (!replaced) await storage.put(KEY, pattern(4 * MIB, 2));
      replaced = true;
    }
  })();
  expect(await failureOf(reading)).toMatchObject({ code: 'STORAGE_PRECONDITION_FAILED', key: KEY });
});

test('A connection that breaks before the body is read does no harm', async () => {
  await using served = await serve();
  const { server, storage } = served;
  await storage.put(KEY, pattern(MIB));
  server.inject({ operation: 'GetObject', effect: { kind: 'cut', afterBytes: 10, how: 'reset' } });
  const { body } = await storage.get(KEY);
  await new Promise((resolve) => setTimeout(resolve, 50));
  let sizeBytes = 0;
  for await (const chunk of body) sizeBytes += chunk.byteLength;
  expect(sizeBytes).toBe(MIB);
});

test('With a checksum, a byte that was flipped on the way is STORAGE_CHECKSUM_MISMATCH', async () => {
  await using served = await serve({ checksum: 'crc32c' });
  const { server, storage } = served;
  await storage.put(KEY, pattern(MIB));
  expect(await readWhole(storage, KEY)).toHaveLength(MIB);
  server.inject({ operation: 'GetObject', effect: { kind: 'flip', atByte: 777_777 } });
  expect(await failureOf(readWhole(storage, KEY))).toMatchObject({ code: 'STORAGE_CHECKSUM_MISMATCH' });
});

test('A server that ignores ranges gives an error, never other bytes', async () => {
  await using served = await serve({}, { quirks: { rangeIgnored: true } });
  await served.storage.put(KEY, pattern(1000));
  const error = await failureOf(readWhole(served.storage, KEY, { offset: 10, length: 10 }));
  expect(error).toMatchObject({ code: 'STORAGE_IO', message: expect.stringContaining('ignored the range') });
});

test('A failing server is asked again with growing waits, and a failure that stays is told', async () => {
  await using served = await serve({ retriesMax: 4 });
  const { server, storage, delays } = served;
  await storage.put(KEY, pattern(10));
  const failing = { kind: 'error', status: 500, code: 'InternalError' } as const;
  server.inject({ operation: 'HeadObject', times: 2, effect: failing });
  expect((await storage.head(KEY)).sizeBytes).toBe(10);
  expect(delays).toEqual([50, 100]);
  server.inject({ operation: 'HeadObject', times: 9, effect: failing });
  expect(await failureOf(storage.head(KEY))).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true });
  expect(server.log.count('HeadObject')).toBe(3 + 5);
});

test('A listing that is cut short without saying where it goes on is an error', async () => {
  await using served = await serve({ retriesMax: 0 });
  const { server, storage } = served;
  await storage.put(KEY, pattern(10));
  server.inject({ operation: 'ListObjectsV2', effect: { kind: 'cut', afterBytes: 200, how: 'end' } });
  const listing = (async () => {
    for await (const _ of storage.list());
  })();
  expect((await failureOf(listing)).operation).toBe('list');
});

import { expect, test } from 'vitest';
import { failureOf, serve } from './testing/with-server.ts';

const keys = Array.from({ length: 7 }, (_, index) => `dir/${index} <&>"'`);

test('Deletes go in batches with Content-MD5 and without newer checksums', async () => {
  await using served = await serve(
    { deleteBatchSize: 3 },
    { quirks: { deleteObjects: 'requires-content-md5' } },
  );
  const { server, storage } = served;
  for (const key of keys) await storage.put(key, new Uint8Array(1));
  await storage.delete([...keys, 'missing', 'missing too']);
  expect(server.keys('bucket')).toEqual([]);
  expect(server.log.count('DeleteObjects')).toBe(3);
  for (const entry of server.log.entries('DeleteObjects')) {
    expect(entry.headers['content-md5']).toMatch(/==$/);
    expect(Object.keys(entry.headers).filter((name) => name.includes('checksum'))).toEqual([]);
  }
});

test('Where DeleteObjects is not implemented, keys are deleted one by one, and it is not asked again', async () => {
  await using served = await serve({ deleteBatchSize: 3 }, { quirks: { deleteObjects: 'not-implemented' } });
  const { server, storage } = served;
  for (const key of keys) await storage.put(key, new Uint8Array(1));
  await storage.delete(keys);
  expect(server.keys('bucket')).toEqual([]);
  expect([server.log.count('DeleteObjects'), server.log.count('DeleteObject')]).toEqual([1, 7]);
});

test('A batch that is refused tells why', async () => {
  await using served = await serve();
  served.server.inject({
    operation: 'DeleteObjects',
    effect: { kind: 'error', status: 403, code: 'AccessDenied', message: 'not allowed' },
  });
  expect(await failureOf(served.storage.delete(keys))).toMatchObject({
    code: 'STORAGE_ACCESS_DENIED',
    operation: 'delete',
  });
});

test('A storage opened for reading refuses to write, delete and copy before any request', async () => {
  await using served = await serve({ access: 'read' });
  const { server, storage } = served;
  for (const work of [
    storage.put('k', new Uint8Array(1)),
    storage.delete(['k']),
    storage.copy?.('a', 'b') ?? Promise.resolve(),
  ])
    expect(await failureOf(work)).toMatchObject({ code: 'STORAGE_UNSUPPORTED' });
  expect(server.log.count()).toBe(0);
});

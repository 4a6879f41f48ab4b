import { expect, test } from 'vitest';
import { chunked, failureOf, MIB, pattern, readWhole, serve } from './testing/with-server.ts';

const KEY = 'dir/object';
const PART = 5 * MIB;
const parts = { partSizeBytes: PART, concurrency: 2 } as const;

test.each([
  ['an array', (bytes: Buffer) => bytes, {}],
  ['a stream of unknown size', (bytes: Buffer) => chunked(bytes), {}],
  ['a stream of known size', (bytes: Buffer) => chunked(bytes), { sizeBytes: 2 * PART + 7 }],
])(
  '%s larger than a part is uploaded in parts, no more in flight than allowed',
  async (_, bodyOf, options) => {
    await using served = await serve(parts);
    const { server, storage } = served;
    server.inject({ operation: 'UploadPart', times: 9, effect: { kind: 'delay', delayMs: 20 } });
    const bytes = pattern(2 * PART + 7);
    const result = await storage.put(KEY, bodyOf(bytes), options);
    expect(result.sizeBytes).toBe(bytes.byteLength);
    expect(result.etag).toBe((await storage.head(KEY)).etag);
    expect(server.log.count('UploadPart')).toBe(3);
    expect(server.log.peakInFlight('UploadPart')).toBe(2);
    expect(Buffer.compare(await readWhole(storage, KEY), bytes)).toBe(0);
  },
);

test('A body of exactly one part is one PutObject', async () => {
  await using served = await serve(parts);
  const { server, storage } = served;
  await storage.put(KEY, chunked(pattern(PART)));
  expect(server.log.entries().map((entry) => entry.operation)).toEqual(['PutObject']);
});

test('Every part carries its CRC32C, and so does the whole', async () => {
  await using served = await serve({ ...parts, checksum: 'crc32c' });
  const { server, storage } = served;
  const bytes = pattern(PART + 100);
  await storage.put(KEY, bytes);
  for (const entry of server.log.entries('UploadPart'))
    expect(entry.headers['x-amz-checksum-crc32c']).toMatch(/^[\w+/]{6}==$/);
  expect(Buffer.compare(await readWhole(storage, KEY), bytes)).toBe(0);
});

test('A part that was throttled, damaged or lost is sent again; Retry-After is kept', async () => {
  await using served = await serve(parts);
  const { server, storage, delays } = served;
  const part = { operation: 'UploadPart' } as const;
  server.inject({ ...part, effect: { kind: 'error', status: 503, code: 'SlowDown', retryAfterSeconds: 7 } });
  server.inject({ ...part, effect: { kind: 'error', status: 400, code: 'BadDigest' } });
  server.inject({ ...part, effect: { kind: 'reset', when: 'before' } });
  server.inject({ ...part, effect: { kind: 'error', status: 500, code: 'InternalError', readBody: false } });
  const bytes = pattern(2 * PART + 1);
  await storage.put(KEY, chunked(bytes));
  expect(Buffer.compare(await readWhole(storage, KEY), bytes)).toBe(0);
  expect(delays).toContain(7250);
  expect(server.log.count('UploadPart')).toBe(7);
});

test('A part that fails for good ends the put: nothing visible, no parts left, source let go', async () => {
  await using served = await serve(parts);
  const { server, storage } = served;
  server.inject({
    operation: 'UploadPart',
    skip: 1,
    times: 9,
    effect: { kind: 'error', status: 403, code: 'AccessDenied' },
  });
  let released = false;
  const source = async function* () {
    try {
      yield* chunked(pattern(4 * PART));
    } finally {
      released = true;
    }
  };
  expect(await failureOf(storage.put(KEY, source()))).toMatchObject({ code: 'STORAGE_ACCESS_DENIED' });
  expect({ released, uploads: server.openUploads('bucket'), keys: server.keys('bucket') }).toEqual({
    released: true,
    uploads: 0,
    keys: [],
  });
});

test('An abort while parts are in flight leaves no parts behind', async () => {
  await using served = await serve(parts);
  const { server, storage } = served;
  const controller = new AbortController();
  server.inject({ operation: 'UploadPart', times: 9, effect: { kind: 'delay', delayMs: 5000 } });
  setTimeout(() => controller.abort(), 100);
  const putting = storage.put(KEY, pattern(3 * PART), { signal: controller.signal });
  expect(await failureOf(putting)).toMatchObject({ code: 'STORAGE_ABORTED' });
  expect(server.openUploads('bucket')).toBe(0);
});

test('A source that breaks, or is not as long as announced, leaves no parts behind', async () => {
  await using served = await serve(parts);
  const { server, storage } = served;
  const broken = new Error('the source broke');
  const source = async function* () {
    yield* chunked(pattern(2 * PART + 1));
    throw broken;
  };
  await expect(storage.put(KEY, source())).rejects.toBe(broken);
  for (const sizeBytes of [2 * PART, 2 * PART + 2]) {
    const putting = storage.put(KEY, chunked(pattern(2 * PART + 1)), { sizeBytes });
    expect(await failureOf(putting)).toMatchObject({ code: 'STORAGE_TRUNCATED' });
  }
  expect(server.log.count('CreateMultipartUpload')).toBe(3);
  expect([server.openUploads('bucket'), server.keys('bucket')]).toEqual([0, []]);
});

test('A completion whose answer was lost is recognised as done', async () => {
  await using served = await serve(parts);
  const { server, storage } = served;
  server.inject({
    operation: 'CompleteMultipartUpload',
    effect: { kind: 'reset', when: 'after-commit' },
  });
  const bytes = pattern(PART + 1);
  const { etag } = await storage.put(KEY, bytes, { ifNoneMatch: '*' });
  expect(etag).toBe((await storage.head(KEY)).etag);
  expect(Buffer.compare(await readWhole(storage, KEY), bytes)).toBe(0);
});

test('Storage class and encryption go with every write and copy', async () => {
  await using served = await serve({
    ...parts,
    storageClass: 'GLACIER_IR',
    encryption: { kind: 'aws:kms', keyId: 'key-1' },
  });
  const { server, storage } = served;
  await storage.put('small', pattern(10));
  await storage.put('large', pattern(PART + 1));
  await storage.copy?.('small', 'copy');
  for (const key of ['small', 'large', 'copy'])
    expect(server.storedHeaders('bucket', key)).toMatchObject({
      'x-amz-storage-class': 'GLACIER_IR',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
    });
});

test('An object above the limit of CopyObject is copied in parts of one version', async () => {
  await using served = await serve(
    { ...parts, copySizeMaxBytes: PART },
    { limits: { copySizeMaxBytes: PART } },
  );
  const { server, storage } = served;
  const bytes = pattern(2 * PART + 5);
  const { etag } = await storage.put('from + ä/1', bytes);
  const result = await storage.copy?.('from + ä/1', 'to');
  expect(result?.sizeBytes).toBe(bytes.byteLength);
  expect(Buffer.compare(await readWhole(storage, 'to'), bytes)).toBe(0);
  expect(server.log.count('UploadPartCopy')).toBe(3);
  expect(server.log.entries('UploadPartCopy')[0]?.headers['x-amz-copy-source-if-match']).toBe(etag);
});

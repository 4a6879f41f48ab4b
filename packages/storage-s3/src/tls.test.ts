import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type S3TestServer, startS3TestServer } from '@neon-snapshot/s3-test-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openS3Storage } from './open-s3-storage.ts';
import type { S3StorageOptions } from './options.ts';
import { failureOf, MIB, optionsFor, pattern, readWhole } from './testing/with-server.ts';

let server: S3TestServer;
let directory: string;
let caFile: string;

beforeAll(async () => {
  server = await startS3TestServer({ buckets: ['bucket'], tls: true });
  directory = await mkdtemp(join(tmpdir(), 'storage-s3-'));
  caFile = join(directory, 'ca.pem');
  await writeFile(caFile, server.caCertificatePem ?? '');
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const hashesOf = async (options: Partial<S3StorageOptions>) => {
  server.log.clear();
  await using storage = await openS3Storage({ ...optionsFor(server), caFile, ...options });
  const bytes = pattern(5 * MIB + 1);
  await storage.put('small', bytes.subarray(0, 100));
  await storage.put('large', bytes);
  await storage.delete(['small', 'none']);
  expect(Buffer.compare(await readWhole(storage, 'large'), bytes)).toBe(0);
  const uploads = [...server.log.entries('PutObject'), ...server.log.entries('UploadPart')];
  return new Set(uploads.map((entry) => entry.headers['x-amz-content-sha256'] === 'UNSIGNED-PAYLOAD'));
};

test('Over https, bodies are not hashed for the signature, unless that is asked for', async () => {
  expect(await hashesOf({})).toEqual(new Set([true]));
  expect(await hashesOf({ signPayload: true, partSizeBytes: 5 * MIB })).toEqual(new Set([false]));
});

test("A customer's key goes with every read and write, and nothing is read without it", async () => {
  const encryption = { kind: 'customer', key: Buffer.alloc(32, 7) } as const;
  const options = { ...optionsFor(server), caFile, partSizeBytes: 5 * MIB, copySizeMaxBytes: 5 * MIB };
  await using storage = await openS3Storage({ ...options, encryption });
  const bytes = pattern(5 * MIB + 1);
  await storage.put('secret', bytes);
  await storage.copy?.('secret', 'copy');
  expect(Buffer.compare(await readWhole(storage, 'copy', { offset: 0 }), bytes)).toBe(0);
  await using other = await openS3Storage({ ...options, retriesMax: 0 });
  expect(await failureOf(other.get('secret'))).toMatchObject({ context: { status: 400 } });
});

test('A certificate that nobody vouches for is refused, with the setting that helps', async () => {
  await using storage = await openS3Storage({ ...optionsFor(server), retriesMax: 0 });
  const error = await failureOf(storage.head('key'));
  expect(error).toMatchObject({ code: 'STORAGE_ACCESS_DENIED', retryable: false });
  expect(error.message).toContain('AWS_CA_BUNDLE');
  const missing = await failureOf(openS3Storage({ ...optionsFor(server), caFile: join(directory, 'none') }));
  expect(missing).toMatchObject({ code: 'STORAGE_INVALID_OPTION', operation: 'open' });
});

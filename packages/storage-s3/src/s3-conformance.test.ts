import { randomUUID } from 'node:crypto';
import { type S3TestServer, startS3TestServer } from '@neon-snapshot/s3-test-server';
import { describeStorage } from '@neon-snapshot/storage-conformance';
import { afterAll, beforeAll } from 'vitest';
import { openS3Storage } from './open-s3-storage.ts';

let server: S3TestServer | undefined;

beforeAll(async () => {
  server = await startS3TestServer({ buckets: ['bucket'] });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

describeStorage({
  name: 's3 on the test server',
  open: async () => {
    if (server === undefined) throw new Error('The server was not started');
    const storage = await openS3Storage({
      bucket: 'bucket',
      prefix: randomUUID(),
      endpoint: server.endpoint,
      credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    });
    return { storage, cleanup: async () => storage[Symbol.asyncDispose]() };
  },
});

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type S3Quirks, type S3TestServer, startS3TestServer } from '@neon-snapshot/s3-test-server';
import { describeStorage } from '@neon-snapshot/storage-conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openS3Storage } from './open-s3-storage.ts';
import type { S3StorageOptions } from './options.ts';
import { describeLargeObjects } from './testing/large-object-behaviour.ts';

const KEYS = { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET' };

/** Opens a fresh prefix of the bucket. */
const opener = (options: () => S3StorageOptions) => async () => {
  const storage = await openS3Storage({ ...options(), prefix: randomUUID() });
  return { storage, cleanup: async () => storage[Symbol.asyncDispose]() };
};

const variants: readonly {
  readonly name: string;
  readonly quirks?: S3Quirks;
  readonly options?: Partial<S3StorageOptions>;
}[] = [
  { name: 'with the defaults' },
  { name: 'with CRC32C and encryption', options: { checksum: 'crc32c', encryption: { kind: 'AES256' } } },
  {
    name: "with another vendor's ways: unquoted If-Match, no DeleteObjects, no aws-chunked",
    quirks: { ifMatchUnquotedOnly: true, deleteObjects: 'not-implemented', trailingChecksumsRejected: true },
  },
  { name: 'without conditional puts', options: { conditionalPut: false } },
];

for (const { name, quirks = {}, options = {} } of variants) {
  describe(`the test server, ${name}`, () => {
    let server: S3TestServer | undefined;
    beforeAll(async () => {
      server = await startS3TestServer({ buckets: ['bucket'], quirks, limits: { pageSizeMax: 50 } });
    });
    afterAll(async () => {
      expect(server?.openUploads('bucket')).toBe(0);
      await server?.[Symbol.asyncDispose]();
    });
    const optionsOf = (): S3StorageOptions => ({
      bucket: 'bucket',
      endpoint: server?.endpoint ?? '',
      credentials: KEYS,
      ...options,
    });
    // The server's pages are small, so that few keys cross many.
    describeStorage({ name: 'storage-s3', pagedKeyCount: 120, open: opener(optionsOf) });
  });
}

/** By hand: more than 5 GiB are beyond what one request takes or copies, and minutes of work for some servers. */
const LARGE_OBJECT =
  process.env.NEON_TEST_LARGE_OBJECT_BYTES === undefined
    ? {}
    : { pagedKeyCount: 10_000, largeObjectBytes: Number(process.env.NEON_TEST_LARGE_OBJECT_BYTES) };
const isDeep = process.env.CI !== undefined || 'largeObjectBytes' in LARGE_OBJECT;

describe.runIf(isDeep)('the test server with its bodies in files and ten pages of keys (CI only)', () => {
  let server: S3TestServer | undefined;
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'neon-storage-s3-'));
    server = await startS3TestServer({ buckets: ['bucket'], directory });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });
  // The smallest parts: more than 1000 of them in 5 GiB, where they begin to grow.
  const optionsOf = (): S3StorageOptions => ({
    bucket: 'bucket',
    endpoint: server?.endpoint ?? '',
    credentials: KEYS,
    partSizeBytes: 5 * 2 ** 20,
  });
  describeStorage({ name: 'storage-s3', ...LARGE_OBJECT, open: opener(optionsOf) });
});

// Real servers: "name=http://host:port name2=…", started by scripts/servers/up-all.sh.
const realServers = (process.env.NEON_TEST_S3_SERVERS ?? '').split(' ').filter((entry) => entry !== '');

function describeRealServer(name: string, endpoint: string): void {
  const bucket = `neon-${randomUUID()}`;
  beforeAll(async () => {
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: KEYS });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
  });
  const optionsOf = (): S3StorageOptions => ({ bucket, endpoint, credentials: KEYS });
  describeStorage({ name: 'storage-s3', pagedKeyCount: 2_500, ...LARGE_OBJECT, open: opener(optionsOf) });
  describeLargeObjects((options) => opener(() => ({ ...optionsOf(), ...options }))(), {
    // Ceph's gateway of Debian 12 knows no additional checksums.
    hasChecksums: !name.startsWith('ceph'),
  });
}

for (const entry of realServers) {
  const [name = '', endpoint = ''] = entry.split('=');
  describe(`the real server ${name}`, () => describeRealServer(name, endpoint));
}

// Skipping would hide a missing server in CI, so there it is a failure.
if (realServers.length === 0) {
  test.runIf(process.env.CI === 'true')(
    'real S3 servers: NEON_TEST_S3_SERVERS is not set (scripts/servers/up-all.sh starts some)',
    () => {
      expect(realServers).not.toEqual([]);
    },
  );
}

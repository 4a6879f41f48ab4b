import { randomUUID } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { isFormatError, type SnapshotReader } from '@neon-snapshot/format-core';
import { loadTimeline } from '@neon-snapshot/neon-layer';
import { isRepositoryError } from '@neon-snapshot/repository';
import { type S3TestServer, startS3TestServer } from '@neon-snapshot/s3-test-server';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { openS3Storage } from '@neon-snapshot/storage-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listTenantIds } from './catalog/timelines.ts';
import { keysOf, readFiles, TENANT, write } from './testing/made-up-runs.ts';
import { type MadeUpSnapshot, makeSnapshot } from './testing/made-up-snapshot.ts';

/** What two writers at once may say of themselves. */
const NAMED = { tenant_id: TENANT };
const ANY = { sole_tenant: true };

/** One of the two wins, the other gets a typed error, and the bucket is what the winner alone would have left. */
async function race(
  storage: Storage,
  { reader }: MadeUpSnapshot,
  ids: Readonly<Record<string, string | boolean>>,
) {
  const outcomes = await Promise.allSettled([write(reader, storage, ids), write(reader, storage, ids)]);
  const won = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value.result.facts] : []));
  const lost = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  expect(won).toHaveLength(1);
  const [reason] = lost;
  if (!isFormatError(reason, 'FORMAT_NOT_EMPTY')) {
    expect(isRepositoryError(reason, 'REPOSITORY_LEASE_HELD'), String(reason)).toBe(true);
  }
  const tenant = String(won[0]?.tenant_id);
  const timelineId = String(won[0]?.timeline_id);
  expect(await listTenantIds(storage)).toEqual([tenant]);
  const { index } = await loadTimeline(storage, { tenant, timelineId });
  const expected = new Set([...index.layers].map(([name]) => `${name}-00000001`));
  const found = new Set<string>();
  for await (const page of storage.list({ prefix: `tenants/` })) {
    for (const { key, sizeBytes } of page.objects) {
      const name = key.slice(key.lastIndexOf('/') + 1);
      if (name.startsWith('index_part')) continue;
      found.add(name);
      expect(sizeBytes).toBe(index.layers.get(name.slice(0, -9))?.fileSize);
    }
  }
  expect(found).toEqual(expected);
  return { tenant, timelineId };
}

describe('two writers at the same moment', () => {
  test('in 1,000 races in memory: exactly one wins', { timeout: 120_000 }, async () => {
    const snapshot = makeSnapshot({ withoutRelations: true });
    for (let nth = 0; nth < 1000; nth += 1) {
      await race(createMemoryStorage(), snapshot, nth % 2 === 0 ? NAMED : ANY);
    }
  });

  test('of different tenants both win where both may be there', async () => {
    const storage = createMemoryStorage();
    const ids = ['c', 'd'].map((digit) => ({ tenant_id: digit.repeat(32) }));
    await Promise.all(ids.map((each) => write(makeSnapshot().reader, storage, each)));
    expect(await listTenantIds(storage)).toHaveLength(2);
  });

  test('of different tenants do not both win where the tenant is to be the only one', async () => {
    for (let nth = 0; nth < 20; nth += 1) {
      const storage = createMemoryStorage();
      const outcomes = await Promise.allSettled(
        ['c', 'd'].map((digit) =>
          write(makeSnapshot({ withoutRelations: true }).reader, storage, {
            tenant_id: digit.repeat(32),
            ...ANY,
          }),
        ),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    }
  });
});

describe('a writer that was taken over', () => {
  test.each(['global/1262', 'pg_xact/0000'])(
    'while it read %s stops before it publishes, and the other is whole',
    async (at) => {
      const storage = createMemoryStorage();
      const second = makeSnapshot();
      let other: Promise<unknown> | undefined;
      const first = makeSnapshot({
        onBody: (path) => {
          if (path === at) other = write(second.reader, storage, { ...NAMED, take_over: true });
        },
      });
      await expect(
        write(
          slowly(first.reader, () => other),
          storage,
          NAMED,
        ),
      ).rejects.toMatchObject({
        code: 'REPOSITORY_LEASE_LOST',
        context: { generation: 2 },
      });
      expect((await keysOf(storage)).filter((key) => key.includes('index_part'))).toEqual([
        expect.stringMatching(/index_part\.json-00000002$/),
      ]);
      const found = await readFiles(storage);
      for (const [path, bytes] of second.files)
        expect(Buffer.compare(found.get(path) ?? new Uint8Array(1), bytes), path).toBe(0);
    },
  );
});

/** The same snapshot, whose end waits for something. */
function slowly(reader: SnapshotReader, until: () => Promise<unknown> | undefined): SnapshotReader {
  return {
    ...reader,
    async finish() {
      await until();
      return reader.finish();
    },
  };
}

const KEYS = { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET' };
const REAL_SERVERS = (process.env.NEON_TEST_S3_SERVERS ?? '').split(' ').filter((entry) => entry !== '');

describe.each(['s3-test-server', ...REAL_SERVERS])('two writers at the same moment on %s', (name) => {
  const bucket = `neon-${randomUUID()}`;
  let server: S3TestServer | undefined;
  let endpoint = name.slice(name.indexOf('=') + 1);
  beforeAll(async () => {
    if (name !== 's3-test-server') return createBucket(endpoint, bucket);
    server = await startS3TestServer({ buckets: [bucket] });
    endpoint = server.endpoint;
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test('in 20 races: exactly one wins, and what it wrote is whole', { timeout: 120_000 }, async () => {
    const snapshot = makeSnapshot();
    for (let nth = 0; nth < 20; nth += 1) {
      const options = { bucket, prefix: `race-${randomUUID()}`, endpoint, credentials: KEYS };
      await using storage = await openS3Storage(options);
      await race(storage, snapshot, nth % 2 === 0 ? NAMED : ANY);
      const found = await readFiles(storage);
      for (const [path, bytes] of snapshot.files)
        expect(Buffer.compare(found.get(path) ?? new Uint8Array(1), bytes), path).toBe(0);
    }
  });
});

async function createBucket(endpoint: string, bucket: string): Promise<void> {
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: KEYS });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
}

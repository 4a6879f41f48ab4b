import { randomUUID } from 'node:crypto';
import { isFormatError, type SnapshotReader } from '@neon-snapshot/format-core';
import { loadTimeline } from '@neon-snapshot/neon-layer';
import { acquireLease, isRepositoryError } from '@neon-snapshot/repository';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { openS3Storage } from '@neon-snapshot/storage-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listTenantIds } from './catalog/timelines.ts';
import { keysOf, readFiles, TENANT, write } from './testing/made-up-runs.ts';
import { type MadeUpSnapshot, makeSnapshot } from './testing/made-up-snapshot.ts';
import { openBucket, S3_KEYS, S3_SERVERS, type S3Bucket } from './testing/s3-servers.ts';

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

/** CI runs as many as the guarantee is stated for. */
const isCi = process.env.CI !== undefined;
const RACES = isCi ? 1000 : 50;
const S3_RACES = isCi ? 20 : 5;

describe('two writers at the same moment', () => {
  test(`in ${RACES} races in memory: exactly one wins`, { timeout: 120_000 }, async () => {
    const snapshot = makeSnapshot({ withoutRelations: true });
    for (let nth = 0; nth < RACES; nth += 1) {
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
    for (let nth = 0; nth < S3_RACES; nth += 1) {
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

describe.each(S3_SERVERS)('two writers at the same moment on %s', (name) => {
  const bucket = `neon-${randomUUID()}`;
  let server: S3Bucket;
  beforeAll(async () => {
    server = await openBucket(name, bucket);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  const open = () => {
    const { endpoint } = server;
    return openS3Storage({ bucket, prefix: `race-${randomUUID()}`, endpoint, credentials: S3_KEYS });
  };

  test(`in ${S3_RACES} races: exactly one wins, and what it wrote is whole`, {
    timeout: 240_000,
  }, async () => {
    const snapshot = makeSnapshot();
    for (let nth = 0; nth < S3_RACES; nth += 1) {
      await using storage = await open();
      await race(storage, snapshot, nth % 2 === 0 ? NAMED : ANY);
      const found = await readFiles(storage);
      for (const [path, bytes] of snapshot.files)
        expect(Buffer.compare(found.get(path) ?? new Uint8Array(1), bytes), path).toBe(0);
    }
  });

  test(`in ${S3_RACES} races of five for a lease: exactly one holds it`, { timeout: 120_000 }, async () => {
    for (let nth = 0; nth < 20; nth += 1) {
      await using storage = await open();
      const request = { storage, directory: `neon-snapshot/${TENANT}`, command: 'neon init' };
      const takeOver = nth % 2 === 1;
      const racers = Array.from({ length: 5 }, () => acquireLease({ ...request, takeOver }));
      const outcomes = await Promise.allSettled(racers);
      const held = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
      const valid = await Promise.allSettled(held.map((lease) => lease.assertHeld()));
      expect(
        valid.filter(({ status }) => status === 'fulfilled'),
        `race ${nth}`,
      ).toHaveLength(1);
      expect(refused.every((reason) => isRepositoryError(reason, 'REPOSITORY_LEASE_HELD'))).toBe(true);
      await Promise.all(held.map((lease) => lease.release()));
    }
  });
});

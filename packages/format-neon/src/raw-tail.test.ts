import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import type { VerifyLevel } from '@neon-snapshot/format-core';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { loadTimeline } from '@neon-snapshot/neon-layer';
import { adoptTail, loadTail } from '@neon-snapshot/neon-timeline';
import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import {
  type ClusterChecksums,
  type PostgresServer,
  runAmcheck,
  tableChecksums,
} from '@neon-snapshot/postgres-process';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { describe, expect, test } from 'vitest';
import { listTimelines } from './catalog/timelines.ts';
import { plugin as neon } from './plugin.ts';
import { copy } from './testing/copy.ts';
import { type Endpoint, exportEndpoint } from './testing/endpoint.ts';
import { countChunks, putTail } from './testing/put-tail.ts';
import { testServices } from './testing/services.ts';

/*
 * Raw WAL behind the layers of a timeline, as a page server keeps it between pushes: written by a Postgres that goes on with the
 * timeline. Every reader sees it as if it were in layers.
 */

const PLACE = {
  tenantId: 'aa101010101010101010101010101010',
  timelineId: 'aa202020202020202020202020202020',
};
const OPTIONS = { tenant_id: PLACE.tenantId, timeline_id: PLACE.timelineId };
const TEST_TIMEOUT_MS = 180_000;

/** A state of the cluster, and how to ask for it. */
interface Moment {
  readonly lsn: string;
  readonly time: string;
  readonly checksums: ClusterChecksums;
}

async function momentOf(server: PostgresServer): Promise<Moment> {
  const checksums = await tableChecksums(server);
  const [row] = await server.query(
    'select pg_current_wal_insert_lsn() as lsn, to_char(clock_timestamp() at time zone \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') as time',
  );
  return { lsn: String(row?.lsn), time: String(row?.time), checksums };
}

/** Two moments with work of all kinds before, between and after. */
async function work(server: PostgresServer): Promise<readonly [Moment, Moment]> {
  const run = async (...statements: readonly string[]) => {
    for (const statement of statements) await server.query(statement);
  };
  await run(
    "create table tailed as select g as id, repeat('x', g % 300) as pad from generate_series(1, 8000) g",
    'create index on tailed (pad)',
    'create sequence counted',
    // Of values that are drawn WAL has those to come as well.
    "select setval('counted', 40)",
    'update tailed set pad = pad || id where id % 3 = 0',
  );
  const first = await momentOf(server);
  await run(
    'delete from tailed where id % 5 = 0',
    'vacuum tailed',
    "insert into tailed select g, 'late' from generate_series(9000, 9500) g",
    'create database tailed_copy',
    "select lo_from_bytea(0, repeat('large ', 900)::bytea)",
    'select pg_switch_wal()',
    'alter table tailed add column more int default 7',
  );
  return [first, await momentOf(server)];
}

async function importCluster(dataDirectory: string): Promise<Storage> {
  const storage = createMemoryStorage();
  await using source = await openFsStorage({ rootPath: dataDirectory });
  await copy({ format: pgdata, storage: source }, { format: neon, storage, options: OPTIONS });
  return storage;
}

/** What a stock Postgres finds in an export. */
async function found(
  storage: Storage,
  options: Record<string, string>,
  checksIndexes = false,
): Promise<ClusterChecksums> {
  await using endpoint: Endpoint = await exportEndpoint(storage, options);
  return await endpoint.run(async (server) => {
    const checksums = await tableChecksums(server);
    if (!checksIndexes) return checksums;
    // Prepared transactions hold locks that the checks would wait for.
    for (const { gid, database } of await server.query('select gid, database from pg_prepared_xacts')) {
      await server.query(`rollback prepared '${String(gid)}'`, { database: String(database) });
    }
    expect((await runAmcheck(server)).problems).toEqual([]);
    return checksums;
  });
}

async function codesOf(storage: Storage, level: VerifyLevel): Promise<readonly string[]> {
  const { services } = testServices();
  const report = await neon.verify?.({ storage, level, options: {}, services, concurrency: 2 });
  expect(report?.counts.tailBytes).toBeGreaterThan(100_000);
  return report?.findings.map(({ code }) => code) ?? ['none'];
}

async function endOf(storage: Storage): Promise<Lsn> {
  const [timeline] = await listTimelines(storage);
  return timeline?.index?.endLsn ?? lsn(0n);
}

describe('a timeline with raw WAL behind its layers', () => {
  // CI takes all majors.
  test.each(process.env.CI === undefined ? [17] : [14, 15, 16, 17])(
    'of Postgres %i is exported at the end of that; the oldest and the newest also at an LSN and a time in it',
    { timeout: TEST_TIMEOUT_MS },
    async (major) => {
      await using cluster = await makeTestCluster({ major, scale: 1, dataChecksums: major % 2 === 0 });
      await using storage = await importCluster(cluster.dataDirectory);
      const start = await endOf(storage);
      await using endpoint = await exportEndpoint(storage);
      const [first, last] = await endpoint.run(work);
      const bytes = endpoint.walFrom(start);
      const end = await putTail(storage, {
        ...PLACE,
        major,
        start,
        bytes,
        chunkBytes: 400_000,
        generation: 1,
      });
      expect(await countChunks(storage, PLACE)).toBeGreaterThan(3);
      expect(await endOf(storage)).toBe(end);
      expect(await codesOf(storage, 'pages')).toEqual([]);
      expect(await found(storage, {}, true)).toEqual(last.checksums);
      if (major === 15 || major === 16) return;
      expect(await found(storage, { lsn: first.lsn })).toEqual(first.checksums);
      expect(await found(storage, { time: first.time })).toEqual(first.checksums);
      expect(await found(storage, { lsn: formatLsn(start) })).toEqual(cluster.expected.checksums);
    },
  );

  test('is gone on with from its end by one endpoint after the other, under a generation each', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const major = 17;
    await using cluster = await makeTestCluster({ major, scale: 1 });
    await using storage = await importCluster(cluster.dataDirectory);
    let end = await endOf(storage);
    for (const generation of [1, 2, 3]) {
      await using endpoint = await exportEndpoint(storage);
      const checksums = await endpoint.run(async (server) => {
        await server.query(`create table round_${generation} as select generate_series(1, 3000) as id`);
        return tableChecksums(server);
      });
      const { tenantId: tenant, timelineId } = PLACE;
      const tail = await loadTail(storage, {
        ...PLACE,
        source: await loadTimeline(storage, { tenant, timelineId }),
      });
      if (tail !== undefined) await adoptTail(storage, { ...PLACE, tail, generation });
      const bytes = endpoint.walFrom(end);
      const next = await putTail(storage, {
        ...PLACE,
        major,
        start: end,
        bytes,
        chunkBytes: 100_000,
        generation,
      });
      expect(next).toBeGreaterThan(end);
      expect(await found(storage, {})).toEqual(checksums);
      // Only from its end is there going on.
      const before = { timeline_id_mode: 'continue', lsn: formatLsn(end) };
      await expect(openReader(storage, before)).rejects.toMatchObject({ code: 'FORMAT_OPTION' });
      end = next;
    }
  });

  test('that is damaged anywhere cannot be read to its end, but up to its layers', async () => {
    await using cluster = await makeTestCluster({ major: 16, scale: 1 });
    await using storage = await importCluster(cluster.dataDirectory);
    const start = await endOf(storage);
    await using endpoint = await exportEndpoint(storage);
    await endpoint.run((server) => server.query('create table t as select generate_series(1, 2000) as id'));
    const bytes = endpoint.walFrom(start);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    const key = `neon-snapshot/${PLACE.tenantId}/wal/${PLACE.timelineId}/${hex(start)}-${hex(lsn(start + BigInt(bytes.length)))}-00000001`;
    await storage.put(key, bytes);
    await expect(openReader(storage, {})).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    const reader = await openReader(storage, { lsn: formatLsn(start) });
    await reader[Symbol.asyncDispose]();
    expect(await codesOf(storage, 'meta')).toEqual([]);
    expect(await codesOf(storage, 'hash')).toEqual(['TAIL_INVALID']);
    // Its pages are those of the layers then.
    expect(await codesOf(storage, 'pages')).toEqual(['TAIL_INVALID']);
  });
});

function hex(value: Lsn): string {
  return value.toString(16).toUpperCase().padStart(16, '0');
}

async function openReader(storage: Storage, options: Record<string, string>) {
  return neon.openReader({ storage, options, services: testServices().services, concurrency: 2 });
}

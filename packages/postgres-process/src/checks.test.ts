import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runAmcheck } from './amcheck.ts';
import { tableChecksums } from './cluster-checksums.ts';
import { compareScans } from './compare-scans.ts';
import { startPostgres } from './start-postgres.ts';
import { makeSmallCluster } from './testing/small-cluster.ts';

const CONTENTS = `
  CREATE TABLE numbers (id int PRIMARY KEY, body text);
  INSERT INTO numbers SELECT g, 'row ' || g FROM generate_series(1, 2000) g;
  CREATE INDEX numbers_hash ON numbers USING hash (body)`;

test('amcheck finds what was broken behind the back of the server, and leaves no extension', async () => {
  await using cluster = await makeSmallCluster();
  const paths: string[] = [];
  {
    await using server = await startPostgres(cluster);
    await server.query(CONTENTS);
    const sound = await runAmcheck(server);
    expect(sound.problems).toEqual([]);
    expect(sound.databases).toEqual(['postgres', 'template1']);
    expect(sound.heapCount).toBeGreaterThan(150);
    expect(sound.btreeCount).toBeGreaterThan(250);
    expect(await server.query("SELECT 1 FROM pg_extension WHERE extname = 'amcheck'")).toEqual([]);
    for (const name of ['numbers', 'numbers_pkey'])
      for (const row of await server.query(`SELECT pg_relation_filepath('${name}') AS path`))
        paths.push(row.path ?? '');
  }
  // A line pointer of the heap's first page, and one of the index's first leaf page (block 1).
  await overwrite(join(cluster.dataDirectory, paths[0] ?? ''), { offset: 40, bytes: [0xff, 0xff] });
  await overwrite(join(cluster.dataDirectory, paths[1] ?? ''), { offset: 8192 + 32, bytes: [0x40, 0x9f] });
  await using server = await startPostgres(cluster);
  const broken = await runAmcheck(server, { databases: ['postgres'] });
  const relations = new Set(broken.problems.map(({ relation }) => relation));
  expect(relations).toEqual(new Set(['public.numbers', 'public.numbers_pkey']));
});

test('checksums change with a row and not with the order of rows', async () => {
  await using cluster = await makeSmallCluster();
  await using server = await startPostgres(cluster);
  await server.query(CONTENTS);
  await server.query('CREATE SEQUENCE counter; SELECT lo_from_bytea(0, $$large$$)');
  const before = await tableChecksums(server);
  expect(before).toMatchObject({
    postgres: {
      tables: { 'public.numbers': expect.stringMatching(/^2000:[0-9a-f]{32}$/) },
      sequences: { 'public.counter': '1,0,f' },
    },
    template1: { tables: {} },
  });
  await server.query('DELETE FROM numbers WHERE id = 7');
  await server.query("INSERT INTO numbers VALUES (7, 'row 7')");
  expect(await tableChecksums(server)).toEqual(before);
  await server.query("UPDATE numbers SET body = 'row seven' WHERE id = 7; SELECT nextval('counter')");
  const after = await tableChecksums(server, { databases: ['postgres'] });
  expect(after.postgres?.tables).not.toEqual(before.postgres?.tables);
  expect(after.postgres?.sequences).toEqual({ 'public.counter': '1,32,t' });
  expect(after.postgres?.largeObjects).toBe(before.postgres?.largeObjects);
});

test('index and sequential scans are compared only when the planner really uses both', async () => {
  await using cluster = await makeSmallCluster();
  await using server = await startPostgres(cluster);
  await server.query(CONTENTS);
  const query = { database: 'postgres', sql: "SELECT id FROM numbers WHERE body = 'row 9'" };
  expect(await compareScans(server, { ...query, index: 'numbers_hash' })).toEqual({
    rowCount: 1,
    equal: true,
  });
  await expect(compareScans(server, { ...query, index: 'numbers_pkey' })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_OPTION',
  });
});

async function overwrite(
  path: string,
  patch: { readonly offset: number; readonly bytes: readonly number[] },
): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(Uint8Array.from(patch.bytes), 0, patch.bytes.length, patch.offset);
}

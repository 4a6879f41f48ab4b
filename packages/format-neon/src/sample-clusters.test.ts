import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { formatLsn, lsn, parseLsn } from '@neon-snapshot/postgres';
import {
  findPostgres,
  type PostgresServer,
  runAmcheck,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plugin as neon } from './plugin.ts';
import { copy } from './testing/copy.ts';
import {
  HAS_SAMPLES,
  SAMPLES_NOTE,
  type SampleDatabase,
  type SamplePhase,
  sampleFacts,
  sampleStorage,
} from './testing/neon-samples.ts';

const TEST_TIMEOUT_MS = 120_000;

/** What branches hold at p2, shards at p1 and archived timelines is equal byte for byte: see samples.test.ts. */
const POINTS = [
  ['pg14', 'base'],
  ['pg15', 'base'],
  ['pg16', 'p1'],
  ['pg16', 'p2'],
  ['pg16', 'p3'],
  ['pg17', 'p1'],
  ['pg17', 'p2'],
  ['pg17', 'p3'],
] as const;

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'neon-samples-'));
  await chmod(scratch, 0o755);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function startExport(
  name: string,
  options: Record<string, string | undefined>,
): Promise<PostgresServer> {
  const { major, tenant, timelines } = sampleFacts(name);
  const dataDirectory = join(scratch, `${name}-${Object.values(options).join('').replaceAll(/\W/g, '')}`);
  await using storage = await sampleStorage(name);
  await using destination = await openFsStorage({ rootPath: dataDirectory, create: true });
  await copy(
    {
      format: neon,
      storage,
      options: { tenant_id: tenant, timeline_id: timelines.main, ...options },
    },
    { format: pgdata, storage: destination },
  );
  const user = unprivilegedUser();
  const names = user === undefined ? [] : ['', ...(await readdir(dataDirectory, { recursive: true }))];
  for (const each of names) await chown(join(dataDirectory, each), user?.uid ?? 0, user?.gid ?? 0);
  return startPostgres({ installation: await findPostgres({ major }), dataDirectory });
}

/** Rows and md5 of every table, and the prepared transactions, as the listings have them. */
async function contentOf(
  server: PostgresServer,
  database: string,
  tables: Iterable<string>,
): Promise<Omit<SampleDatabase, 'sequences'>> {
  await using session = await server.connect({ database });
  await session.query("SET TIME ZONE 'UTC'");
  const found: Record<string, { rows: number; md5: string }> = {};
  for (const table of tables) {
    const [row] = await session.query(
      `SELECT count(*) AS rows, coalesce(md5(string_agg(x::text, E'\n' ORDER BY x::text COLLATE "C")), '') AS md5 FROM ${table} x`,
    );
    found[table] = { rows: Number(row?.rows), md5: String(row?.md5) };
  }
  const [prepared] = await session.query(
    `SELECT coalesce(string_agg(gid, ',' ORDER BY gid), '') AS gids FROM pg_prepared_xacts WHERE database = current_database()`,
  );
  return { tables: found, preparedTransactions: String(prepared?.gids) };
}

async function expectPhase(server: PostgresServer, phase: SamplePhase): Promise<void> {
  for (const [database, { tables, preparedTransactions }] of Object.entries(phase.databases)) {
    const found = await contentOf(server, database, Object.keys(tables));
    expect(found, database).toEqual({ tables, preparedTransactions });
  }
}

/** Rolls back what is prepared: its locks would stop amcheck. */
async function endPrepared(server: PostgresServer, phase: SamplePhase): Promise<void> {
  for (const [database, { preparedTransactions }] of Object.entries(phase.databases)) {
    for (const gid of preparedTransactions.split(',').filter((each) => each !== ''))
      await server.query(`ROLLBACK PREPARED '${gid}'`, { database });
  }
}

describe.runIf(HAS_SAMPLES)(`timelines of a real page server under stock Postgres${SAMPLES_NOTE}`, () => {
  test.each(POINTS)(
    '%s at %s starts, holds every row and is sound',
    async (name, at) => {
      const phase = sampleFacts(name).phases.find((each) => each.name === at);
      if (phase === undefined) throw new Error(`${name} has no phase ${at}`);
      await using server = await startExport(name, { lsn: phase.lsn });
      await expectPhase(server, phase);
      await endPrepared(server, phase);
      expect((await runAmcheck(server)).problems).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'an LSN in the middle of the work, with open transactions, starts and is sound',
    async () => {
      const [first, second] = ['base', 'p1'].map((at) =>
        parseLsn(sampleFacts('pg17').phases.find(({ name }) => name === at)?.lsn ?? ''),
      );
      const middle = lsn(((first ?? 0n) * 2n + (second ?? 0n) * 3n) / 5n);
      await using server = await startExport('pg17', { lsn: formatLsn(middle) });
      expect((await runAmcheck(server)).problems).toEqual([]);
      await server.query('CREATE TABLE later AS SELECT * FROM t_heap', { database: 'postgres' });
    },
    TEST_TIMEOUT_MS,
  );
});

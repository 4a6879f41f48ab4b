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

/** What an archived timeline holds is equal byte for byte to its ancestor's: see samples.test.ts. */
const POINTS = [
  ['pg14', 'main', 'base'],
  ['pg15', 'main', 'base'],
  ['pg16', 'main', 'base'],
  ['pg16', 'main', 'p1'],
  ['pg16', 'main', 'p2'],
  ['pg16', 'main', 'p3'],
  ['pg16', 'branch', 'p2'],
  ['pg16', 'shards', 'p1'],
  ['pg17', 'main', 'base'],
  ['pg17', 'main', 'p1'],
  ['pg17', 'main', 'p2'],
  ['pg17', 'main', 'p3'],
  ['pg17', 'branch', 'p2'],
] as const;
const SHARDED = { tenant_id: '16606060606060606060606060606060', timeline_id: undefined };

/** `SEQ_LOG_VALS`: so many values ahead of the last one are logged, and a recovery goes on behind them. */
const LOGGED_VALUES = 32;

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

/** Rows and md5 of every table, sequences, large objects and prepared transactions, as the listings have them. */
async function contentOf(
  server: PostgresServer,
  database: string,
  tables: Iterable<string>,
): Promise<SampleDatabase> {
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
  const [sequences] = await session.query(
    `SELECT coalesce(string_agg(schemaname || '.' || sequencename || '=' || coalesce(last_value::text, '-'), ','
       ORDER BY schemaname, sequencename), '') AS list FROM pg_sequences`,
  );
  const [large] = await session.query(
    `SELECT concat_ws(' ', count(*), md5(string_agg(loid || ':' || pageno || ':' || md5(data), ',' ORDER BY loid, pageno))) AS text
       FROM pg_largeobject`,
  );
  return {
    tables: found,
    sequences: String(sequences?.list),
    largeObjects: String(large?.text),
    preparedTransactions: String(prepared?.gids),
  };
}

/** The last values of sequences, each no further ahead than recovery may be. */
function expectSequences(found: string, listed: string, isRecovered: boolean): void {
  const parse = (text: string) => text.split(',').map((each) => each.split('='));
  const [ours, theirs] = [parse(found), parse(listed)];
  expect(ours.map(([name]) => name)).toEqual(theirs.map(([name]) => name));
  for (const [index, [name, value = '']] of theirs.entries()) {
    const own = ours[index]?.[1] ?? '';
    const ahead = Number(own) - Number(value);
    const isAllowed = isRecovered && ahead > 0 && ahead <= LOGGED_VALUES;
    if (!isAllowed) expect(own, name).toBe(value);
  }
}

async function expectPhase(server: PostgresServer, phase: SamplePhase): Promise<void> {
  for (const [database, listed] of Object.entries(phase.databases)) {
    const { sequences, ...found } = await contentOf(server, database, Object.keys(listed.tables));
    const { sequences: listedSequences, ...expected } = listed;
    expect(found, database).toEqual(expected);
    expectSequences(sequences, listedSequences, phase.name !== 'base');
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
  test.each(
    process.env.CI === undefined
      ? POINTS.filter(([, , at], index) => at !== 'base' && index % 2 === 1)
      : POINTS,
  )(
    '%s %s at %s starts, holds every row, sequence and large object, and is sound',
    async (name, timeline, at) => {
      const phase = sampleFacts(name).phases.find((each) => each.name === at);
      if (phase === undefined) throw new Error(`${name} has no phase ${at}`);
      const timeline_id = sampleFacts(name).timelines[timeline];
      const place = timeline === 'shards' ? SHARDED : { timeline_id };
      await using server = await startExport(name, { lsn: phase.lsn, ...place });
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

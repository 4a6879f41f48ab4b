import { deepStrictEqual } from 'node:assert';
import {
  type ClusterChecksums,
  compareScans,
  findPostgres,
  type PostgresInstallation,
  type PostgresServer,
  runAmcheck,
  startPostgres,
  tableChecksums,
} from '@neon-snapshot/postgres-process';
import {
  INDEX_QUERIES,
  PENDING_ROW_COUNT,
  PREPARED_TRANSACTIONS,
  UNLOGGED_TABLES,
} from './cluster-contents.ts';
import type { TestClusterExpectation } from './make-test-cluster.ts';

export interface VerifyTestClusterOptions {
  readonly dataDirectory: string;
  readonly expected: TestClusterExpectation;
  /** Default: a Postgres of the expected major. */
  readonly installation?: PostgresInstallation;
  /** False for a directory that was only moved: unlogged tables then keep their rows. Default true. */
  readonly unloggedEmpty?: boolean;
  /** True for what came out of crash recovery: sequences may then be ahead by the values that were logged beforehand. */
  readonly recovered?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts stock Postgres on a copy of a test cluster, with the copy's own configuration, and checks it: row checksums,
 * sequences, large objects, prepared transactions (both are ended), unlogged tables, index against sequential scans,
 * amcheck, and that it can be written. Returns what is wrong, in words; empty when all is well. Stops the server; the directory is changed.
 * Throws when the server does not start.
 */
export async function verifyTestCluster(options: VerifyTestClusterOptions): Promise<string[]> {
  const { expected, dataDirectory, signal } = options;
  const installation = options.installation ?? (await findPostgres({ major: expected.major, signal }));
  await using server = await startPostgres({ installation, dataDirectory, signal });
  const problems = [
    ...(await checkChecksums(server, options)),
    ...(await checkSettings(server, expected)),
    ...(await checkPreparedTransactions(server)),
    ...(await checkUnlogged(server, options.unloggedEmpty ?? true)),
    ...(await checkIndexes(server)),
    ...(await checkWithAmcheck(server, signal)),
    ...(await checkWriting(server)),
  ];
  await server.stop('fast');
  return problems;
}

async function checkChecksums(server: PostgresServer, options: VerifyTestClusterOptions): Promise<string[]> {
  const expected = options.expected.checksums;
  const found = await tableChecksums(server, { signal: options.signal });
  try {
    deepStrictEqual(options.recovered ? withoutLoggedAhead(found, expected) : found, expected);
    return [];
  } catch (error) {
    return [`contents differ: ${error instanceof Error ? error.message : error}`];
  }
}

/** Sequence values that are ahead count as equal. */
function withoutLoggedAhead(found: ClusterChecksums, expected: ClusterChecksums): ClusterChecksums {
  const databases = Object.entries(found).map(([database, checksums]) => {
    const sequences = Object.entries(checksums.sequences).map(([name, state]) => {
      const wanted = expected[database]?.sequences[name];
      const ahead = wanted !== undefined && Number.parseInt(state, 10) >= Number.parseInt(wanted, 10);
      return [name, ahead ? wanted : state];
    });
    return [database, { ...checksums, sequences: Object.fromEntries(sequences) }];
  });
  return Object.fromEntries(databases);
}

async function checkSettings(server: PostgresServer, expected: TestClusterExpectation): Promise<string[]> {
  const [row] = await server.query('SHOW data_checksums');
  const wanted = expected.dataChecksums ? 'on' : 'off';
  return row?.data_checksums === wanted
    ? []
    : [`data_checksums is ${row?.data_checksums}, expected ${wanted}`];
}

async function checkPreparedTransactions(server: PostgresServer): Promise<string[]> {
  const rows = await server.query('SELECT gid FROM pg_prepared_xacts ORDER BY gid');
  const found = rows.map((row) => row.gid);
  const wanted = [...PREPARED_TRANSACTIONS].sort();
  if (JSON.stringify(found) !== JSON.stringify(wanted))
    return [`prepared transactions are ${JSON.stringify(found)}, expected ${JSON.stringify(wanted)}`];
  await server.query(`COMMIT PREPARED '${PREPARED_TRANSACTIONS[0]}'`);
  await server.query(`ROLLBACK PREPARED '${PREPARED_TRANSACTIONS[1]}'`);
  const [row] = await server.query('SELECT count(*) AS n, min(id) AS first FROM pending');
  return Number(row?.n) === PENDING_ROW_COUNT + 1 && row?.first === '0'
    ? []
    : [
        `table pending has ${row?.n} rows after the prepared transactions ended, expected ${PENDING_ROW_COUNT + 1}`,
      ];
}

async function checkUnlogged(server: PostgresServer, empty: boolean): Promise<string[]> {
  const problems: string[] = [];
  for (const table of UNLOGGED_TABLES) {
    const [before] = await server.query(`SELECT count(*) AS n FROM ${table}`);
    if (empty && before?.n !== '0') problems.push(`unlogged table ${table} has ${before?.n} rows`);
  }
  if (!empty) return problems;
  await server.query(`INSERT INTO scratch SELECT g, 'again' FROM generate_series(1, 300) g`);
  await server.query(`INSERT INTO scratch_wide SELECT g, ARRAY[g], 'again' FROM generate_series(1, 300) g`);
  const [row] = await server.query(
    `SET enable_seqscan = off; SELECT (SELECT note FROM scratch WHERE id = 77) || (SELECT body FROM scratch_wide WHERE tags @> ARRAY[5]) AS found`,
  );
  return row?.found === 'againagain'
    ? problems
    : [...problems, 'rows written to unlogged tables are not found'];
}

async function checkIndexes(server: PostgresServer): Promise<string[]> {
  const problems: string[] = [];
  for (const query of INDEX_QUERIES) {
    const { equal, rowCount } = await compareScans(server, query);
    if (!equal) problems.push(`index ${query.index} finds other rows than a sequential scan`);
    if (rowCount === 0) problems.push(`the query for index ${query.index} finds no rows`);
  }
  return problems;
}

async function checkWithAmcheck(server: PostgresServer, signal: AbortSignal | undefined): Promise<string[]> {
  const report = await runAmcheck(server, { signal });
  return report.problems.map(
    ({ database, relation, message }) => `amcheck: ${database}: ${relation}: ${message}`,
  );
}

async function checkWriting(server: PostgresServer): Promise<string[]> {
  await server.query(`
    CREATE TABLE written_after AS SELECT g AS id, repeat('x', g) AS body FROM generate_series(1, 2000) g;
    CREATE INDEX ON written_after (id);
    INSERT INTO items (code, tags, facts, spot, label, created) SELECT 'new', '{1}', '{}', point(g, g), md5('n' || g), now() FROM generate_series(1, 500) g;
    DELETE FROM documents WHERE id % 2 = 0;
    INSERT INTO nothing SELECT generate_series(1, 10);
    UPDATE shared_rows SET id = id + 100;
    SELECT lo_from_bytea(0, 'new large object')`);
  await server.query('VACUUM');
  await server.query('CHECKPOINT');
  const [row] = await server.query(
    `SELECT (SELECT count(*) FROM written_after) || ',' || (SELECT count(*) FROM nothing) || ',' || nextval('numbers') AS found`,
  );
  return row?.found?.startsWith('2000,10,') ? [] : [`rows written afterwards are not found: ${row?.found}`];
}

import { listDatabases } from './databases.ts';
import { isPostgresProcessError, PostgresProcessError, throwIfAborted } from './postgres-process-error.ts';
import type { PostgresServer } from './postgres-server.ts';
import { type PostgresSession, quoteIdentifier } from './session.ts';

export interface AmcheckOptions {
  /** Default: every database that accepts connections. */
  readonly databases?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

export interface AmcheckProblem {
  readonly database: string;
  /** `schema.name`. */
  readonly relation: string;
  readonly message: string;
}

export interface AmcheckReport {
  readonly databases: readonly string[];
  /** Tables, TOAST tables and materialised views. */
  readonly heapCount: number;
  readonly btreeCount: number;
  /** 0 before 18, whose amcheck cannot check them. */
  readonly ginCount: number;
  /** Empty when everything is sound. */
  readonly problems: readonly AmcheckProblem[];
}

/** `gin_index_check` came with amcheck 1.5. */
const GIN_CHECK_MAJOR = 18;
/** Corruptions named per relation; a ruined table has one for every row. */
const PROBLEMS_PER_RELATION_MAX = 10;
/** Long enough for a writer to finish; a prepared transaction never does. */
const LOCK_TIMEOUT_MS = 30_000;
const LOCK_NOT_AVAILABLE = '55P03';

/** What amcheck can check: `kind` is `heap` or the index's access method. */
const CHECKABLE = `
  SELECT c.oid::text AS oid, n.nspname || '.' || c.relname AS relation,
         CASE WHEN c.relkind = 'i' THEN am.amname ELSE 'heap' END AS kind
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am am ON am.oid = c.relam
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  WHERE c.relpersistence <> 't'
    AND ((c.relkind IN ('r', 'm', 't') AND am.amname = 'heap')
      OR (c.relkind = 'i' AND am.amname IN ('btree', 'gin') AND i.indisvalid AND i.indisready))
  ORDER BY c.oid`;

/**
 * Checks with Postgres' own `amcheck`: `verify_heapam` on every table, TOAST table and materialised view,
 * `bt_index_parent_check` with heapallindexed and rootdescend on every B-tree, and from 18 `gin_index_check`; catalogs
 * included. Where the extension is missing it is created in a transaction that is rolled back, so the cluster stays as
 * it is. The checks lock tables against writes until the database is done.
 */
export async function runAmcheck(
  server: PostgresServer,
  options: AmcheckOptions = {},
): Promise<AmcheckReport> {
  const databases = options.databases ?? (await listDatabases(server, options.signal));
  const counts = { heap: 0, btree: 0, gin: 0 };
  const problems: AmcheckProblem[] = [];
  for (const database of databases) {
    await using session = await server.connect({ database, signal: options.signal });
    const checks = await openChecks(session, server.installation.major);
    for (const { oid, relation, kind } of await session.query(CHECKABLE)) {
      throwIfAborted(options.signal, 'amcheck');
      const check = checks[kind ?? ''];
      if (check === undefined) continue;
      counts[check.kind] += 1;
      const messages = await runCheck(
        session,
        `${check.sql(Number(oid))} LIMIT ${PROBLEMS_PER_RELATION_MAX}`,
      );
      problems.push(...messages.map((message) => ({ database, relation: relation ?? '', message })));
    }
    await session.query('ROLLBACK');
  }
  return {
    databases,
    heapCount: counts.heap,
    btreeCount: counts.btree,
    ginCount: counts.gin,
    problems,
  };
}

interface Check {
  readonly kind: 'heap' | 'btree' | 'gin';
  readonly sql: (oid: number) => string;
}

/** Begins the transaction in which the extension exists. */
async function openChecks(
  session: PostgresSession,
  major: number,
): Promise<Readonly<Record<string, Check | undefined>>> {
  await session.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
  const [installed] = await session.query(
    "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'",
  );
  const schema = quoteIdentifier(installed?.nspname ?? 'neon_snapshot_amcheck');
  if (!installed) await session.query(`CREATE SCHEMA ${schema}; CREATE EXTENSION amcheck SCHEMA ${schema}`);
  return {
    heap: {
      kind: 'heap',
      sql: (oid) =>
        `SELECT format('block %s, item %s: %s', blkno, offnum, msg) AS message FROM ${schema}.verify_heapam(${oid}::regclass, check_toast => true, skip => 'none')`,
    },
    btree: {
      kind: 'btree',
      sql: (oid) =>
        `SELECT NULL AS message FROM ${schema}.bt_index_parent_check(${oid}::regclass, true, true)`,
    },
    gin:
      major < GIN_CHECK_MAJOR
        ? undefined
        : {
            kind: 'gin',
            sql: (oid) => `SELECT NULL AS message FROM ${schema}.gin_index_check(${oid}::regclass)`,
          },
  };
}

/** Index checks raise on the first fault, heap checks return rows; a fault must not end the transaction. */
async function runCheck(session: PostgresSession, sql: string): Promise<string[]> {
  await session.query('SAVEPOINT one_check');
  try {
    const rows = await session.query(sql);
    await session.query('RELEASE one_check');
    return rows.flatMap((row) => row.message ?? []);
  } catch (error) {
    if (!isPostgresProcessError(error, 'POSTGRES_PROCESS_QUERY') || error.context.sqlState === undefined)
      throw error;
    if (error.context.sqlState === LOCK_NOT_AVAILABLE) throw lockFailure(error);
    await session.query('ROLLBACK TO one_check');
    return [error.cause instanceof Error ? error.cause.message : error.message];
  }
}

function lockFailure(error: PostgresProcessError): PostgresProcessError {
  return new PostgresProcessError({
    code: 'POSTGRES_PROCESS_QUERY',
    operation: 'amcheck',
    message: `amcheck waited ${LOCK_TIMEOUT_MS} ms for a table that a transaction has locked; end it first (prepared transactions: see pg_prepared_xacts)`,
    context: error.context,
    cause: error,
  });
}

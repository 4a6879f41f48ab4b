import { PostgresProcessError } from './postgres-process-error.ts';
import type { PostgresServer } from './postgres-server.ts';
import type { PostgresSession } from './session.ts';

export interface CompareScansOptions {
  readonly database: string;
  /** A query that the index can answer; its rows are compared as a set, so no ORDER BY is needed. */
  readonly sql: string;
  /** Name of the index that the plan must use. */
  readonly index: string;
  readonly signal?: AbortSignal | undefined;
}

export interface ScanComparison {
  readonly rowCount: number;
  readonly equal: boolean;
}

const SEQUENTIAL_ONLY =
  'SET enable_seqscan = on; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off';
const INDEX_ONLY =
  'SET enable_seqscan = off; SET enable_indexscan = on; SET enable_indexonlyscan = on; SET enable_bitmapscan = on';

/**
 * Asks the same question of an index and of the table, for access methods that amcheck can't check. The plans are
 * verified first: throws `POSTGRES_PROCESS_OPTION` when the index is not used, since the comparison would prove nothing.
 */
export async function compareScans(
  server: PostgresServer,
  options: CompareScansOptions,
): Promise<ScanComparison> {
  await using session = await server.connect(options);
  await session.query('SET max_parallel_workers_per_gather = 0');
  await session.query(INDEX_ONLY);
  await assertPlan(session, options, (plan) => plan.includes(options.index));
  const byIndex = await rowDigest(session, options);
  await session.query(SEQUENTIAL_ONLY);
  await assertPlan(session, options, (plan) => plan.includes('Seq Scan') && !plan.includes(options.index));
  const bySequence = await rowDigest(session, options);
  return { rowCount: bySequence.rowCount, equal: byIndex.digest === bySequence.digest };
}

async function assertPlan(
  session: PostgresSession,
  options: CompareScansOptions,
  isRight: (plan: string) => boolean,
): Promise<void> {
  const rows = await session.query(`EXPLAIN ${options.sql}`, { signal: options.signal });
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  if (isRight(plan)) return;
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_OPTION',
    operation: 'compare scans',
    message: `the planner does not scan as asked for ${options.index}, so nothing would be compared:\n${plan}`,
    context: { index: options.index, database: options.database },
  });
}

async function rowDigest(
  session: PostgresSession,
  options: CompareScansOptions,
): Promise<{ rowCount: number; digest: string }> {
  const [row] = await session.query(
    `SELECT count(*) AS rows, count(*) || ':' || coalesce(md5(string_agg(md5(q::text), '' ORDER BY md5(q::text) COLLATE "C")), '') AS digest FROM (${options.sql}) AS q`,
    { signal: options.signal },
  );
  return { rowCount: Number(row?.rows), digest: row?.digest ?? '' };
}

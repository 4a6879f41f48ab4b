import { listDatabases } from './databases.ts';
import type { PostgresServer } from './postgres-server.ts';
import { type PostgresSession, quoteIdentifier } from './session.ts';

export interface ClusterChecksumsOptions {
  /** Default: every database that accepts connections. */
  readonly databases?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** What one database holds, in a form that is equal exactly when the contents are (128-bit hashes aside). */
export interface DatabaseChecksums {
  /** `schema.table` → `rows:hash`; every logged table and materialised view outside the system schemas. */
  readonly tables: Readonly<Record<string, string>>;
  /** `schema.sequence` → `last_value,log_cnt,is_called`. */
  readonly sequences: Readonly<Record<string, string>>;
  /** `chunks:hash` of `pg_largeobject`. */
  readonly largeObjects: string;
}

/** By database name. Plain data: can be compared with deep equality and kept as JSON. */
export type ClusterChecksums = Readonly<Record<string, DatabaseChecksums>>;

/** Row texts must not depend on settings of the database or the role. */
const FIXED_SETTINGS = [
  "SET datestyle = 'ISO, YMD'",
  "SET intervalstyle = 'postgres'",
  "SET timezone = 'UTC'",
  "SET bytea_output = 'hex'",
  'SET extra_float_digits = 1',
  "SET xmlbinary = 'base64'",
  "SET lc_monetary = 'C'",
  "SET search_path = ''",
  'SET row_security = off',
  'SET statement_timeout = 0',
].join('; ');

const USER_SCHEMAS = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'`;

/**
 * Checksums of every logged table, sequence and large object of a cluster, computed by the server in constant memory:
 * the count of rows and the sum of the MD5 of each row's text, so the order of rows does not matter.
 */
export async function tableChecksums(
  server: Pick<PostgresServer, 'query' | 'connect'>,
  options: ClusterChecksumsOptions = {},
): Promise<ClusterChecksums> {
  const databases = options.databases ?? (await listDatabases(server, options.signal));
  const result: Record<string, DatabaseChecksums> = {};
  for (const database of databases) {
    await using session = await server.connect({ database, signal: options.signal });
    await session.query(FIXED_SETTINGS);
    result[database] = {
      tables: await checksumTables(session, options.signal),
      sequences: await readSequences(session),
      largeObjects: await hashRows(session, { from: 'pg_catalog.pg_largeobject', signal: options.signal }),
    };
  }
  return result;
}

async function checksumTables(
  session: PostgresSession,
  signal: AbortSignal | undefined,
): Promise<Record<string, string>> {
  const relations = await listRelations(session, "c.relkind IN ('r', 'm') AND c.relpersistence = 'p'");
  const found: Record<string, string> = {};
  for (const { name, quoted } of relations)
    found[name] = await hashRows(session, { from: `ONLY ${quoted}`, signal });
  return found;
}

async function readSequences(session: PostgresSession): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name, quoted } of await listRelations(session, "c.relkind = 'S'")) {
    const [row] = await session.query(`SELECT last_value, log_cnt, is_called FROM ${quoted}`);
    found[name] = `${row?.last_value},${row?.log_cnt},${row?.is_called}`;
  }
  return found;
}

async function listRelations(
  session: PostgresSession,
  condition: string,
): Promise<{ name: string; quoted: string }[]> {
  const rows = await session.query(
    `SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE ${condition} AND ${USER_SCHEMAS} ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
  return rows.map(({ nspname, relname }) => ({
    name: `${nspname}.${relname}`,
    quoted: `${quoteIdentifier(nspname ?? '')}.${quoteIdentifier(relname ?? '')}`,
  }));
}

async function hashRows(
  session: PostgresSession,
  options: { readonly from: string; readonly signal: AbortSignal | undefined },
): Promise<string> {
  const half = (side: 'left' | 'right') => `sum(('x' || ${side}(hash, 16))::bit(64)::bigint::numeric)`;
  const [row] = await session.query(
    `SELECT count(*) || ':' || md5(concat(${half('left')}, ',', ${half('right')})) AS checksum
     FROM (SELECT md5(x::text) AS hash FROM ${options.from} AS x OFFSET 0) AS hashes`,
    { signal: options.signal },
  );
  return row?.checksum ?? '';
}

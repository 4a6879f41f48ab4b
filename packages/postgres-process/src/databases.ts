import type { PostgresServer } from './postgres-server.ts';

/** Names of the databases that accept connections, sorted; `template0` is not one of them, nor is one whose DROP was interrupted. */
export async function listDatabases(
  server: Pick<PostgresServer, 'query'>,
  signal?: AbortSignal,
): Promise<string[]> {
  const rows = await server.query(
    // DATCONNLIMIT_INVALID_DB of pg_database.h.
    'SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname COLLATE "C"',
    { signal },
  );
  return rows.map((row) => row.datname ?? '');
}

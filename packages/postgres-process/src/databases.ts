import type { PostgresServer } from './postgres-server.ts';

/** Names of the databases that accept connections, sorted; `template0` is not one of them. */
export async function listDatabases(
  server: Pick<PostgresServer, 'query'>,
  signal?: AbortSignal,
): Promise<string[]> {
  const rows = await server.query(
    'SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname COLLATE "C"',
    { signal },
  );
  return rows.map((row) => row.datname ?? '');
}

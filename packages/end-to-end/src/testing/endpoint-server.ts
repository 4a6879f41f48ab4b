import type { PostgresServer, PostgresSession, QueryRow } from '@neon-snapshot/postgres-process';
import { connect } from './commit-load.ts';

/** A running endpoint as the checks of postgres-process see a server. */
export function endpointServer(connectionString: string): Pick<PostgresServer, 'query' | 'connect'> {
  const open = async (database = 'postgres'): Promise<PostgresSession> => {
    const url = new URL(connectionString);
    url.pathname = `/${database}`;
    const client = await connect(url.href);
    const close = () => client.end();
    return {
      query: async (sql, options = {}) => {
        const result: unknown = await client.query({
          text: sql,
          values: [...(options.params ?? [])],
          types: { getTypeParser: () => (text: string) => text },
        });
        const last = (Array.isArray(result) ? result.at(-1) : result) as {
          readonly rows: readonly QueryRow[];
        };
        return last.rows;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  };
  return {
    connect: ({ database } = {}) => open(database),
    query: async (sql, options = {}) => {
      await using session = await open(options.database);
      return await session.query(sql, options);
    },
  };
}

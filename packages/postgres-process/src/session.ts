import pg from 'pg';
import { PostgresProcessError, throwIfAborted } from './postgres-process-error.ts';

/** Column name → the value's text as the server sends it, or null. No type is converted, so nothing is lost. */
export type QueryRow = Readonly<Record<string, string | null>>;

export interface QueryOptions {
  /** Default `postgres`. */
  readonly database?: string;
  /** `$1`… of a single statement, as text. */
  readonly params?: readonly (string | number | null)[];
  readonly signal?: AbortSignal | undefined;
}

/** One connection. */
export interface PostgresSession extends AsyncDisposable {
  /** Rows of the last statement. Throws `POSTGRES_PROCESS_QUERY` with the server's SQLSTATE in the context. */
  query(sql: string, options?: Omit<QueryOptions, 'database'>): Promise<readonly QueryRow[]>;
  close(): Promise<void>;
}

export interface OpenSessionOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly signal?: AbortSignal | undefined;
}

const CONNECT_TIMEOUT_MS = 30_000;

export async function openSession(options: OpenSessionOptions): Promise<PostgresSession> {
  throwIfAborted(options.signal, 'connect');
  const client = new pg.Client({
    host: options.host,
    port: options.port,
    user: options.user,
    database: options.database,
    application_name: 'neon-snapshot',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types: { getTypeParser: () => (text: string | Buffer) => text.toString() },
  });
  // A server that goes away between queries is reported by the next query.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw queryFailure(error, { operation: 'connect', database: options.database });
  }
  return new ClientSession(client, options.database);
}

class ClientSession implements PostgresSession {
  readonly #client: pg.Client;
  readonly #database: string;

  constructor(client: pg.Client, database: string) {
    this.#client = client;
    this.#database = database;
  }

  async query(sql: string, options: Omit<QueryOptions, 'database'> = {}): Promise<readonly QueryRow[]> {
    throwIfAborted(options.signal, 'query');
    // Closing the connection is the one way to interrupt that needs no second connection.
    const interrupt = () => void this.#client.end().catch(() => undefined);
    options.signal?.addEventListener('abort', interrupt, { once: true });
    try {
      const result: pg.QueryResult<QueryRow> | pg.QueryResult<QueryRow>[] = await (options.params
        ? this.#client.query<QueryRow>(sql, [...options.params])
        : this.#client.query<QueryRow>(sql));
      return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
    } catch (error) {
      throwIfAborted(options.signal, 'query');
      throw queryFailure(error, { operation: 'query', database: this.#database, sql });
    } finally {
      options.signal?.removeEventListener('abort', interrupt);
    }
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const SQL_LENGTH_MAX = 300;

function queryFailure(
  error: unknown,
  facts: { readonly operation: string; readonly database: string; readonly sql?: string },
): PostgresProcessError {
  const message = error instanceof Error ? error.message : String(error);
  const sqlState = error instanceof pg.DatabaseError ? error.code : undefined;
  const statement = facts.sql === undefined ? '' : `: ${facts.sql.trim().slice(0, SQL_LENGTH_MAX)}`;
  return new PostgresProcessError({
    code: 'POSTGRES_PROCESS_QUERY',
    operation: facts.operation,
    message: `${facts.operation} in database ${facts.database} failed: ${message}${statement}`,
    context: { database: facts.database, sqlState },
    cause: error,
  });
}

/** An SQL identifier, quoted. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** An SQL string constant, quoted for `standard_conforming_strings`. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

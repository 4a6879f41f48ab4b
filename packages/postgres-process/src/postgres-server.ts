import type { PostgresInstallation } from './installation.ts';
import type { PostgresSession, QueryOptions, QueryRow } from './session.ts';

/**
 * How to stop: `smart` waits for clients, `fast` rolls them back and writes a shutdown checkpoint, `immediate` quits
 * without one (the next start recovers), `kill` is SIGKILL of every process, as a power loss would do.
 */
export type StopMode = 'smart' | 'fast' | 'immediate' | 'kill';

export interface StopOptions {
  /** Default: no limit for `smart`, `fast` (a checkpoint takes as long as the disk needs); 30 s otherwise. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A running Postgres that we started. Disposing of it stops it (`fast`) and removes its socket directory. */
export interface PostgresServer extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
  /** Of the postmaster. */
  readonly pid: number;
  /** TCP port with `listen: 'loopback'`; otherwise only a part of the socket's name. */
  readonly port: number;
  /** Holds the Unix socket; only the server's account (and root) can enter it. */
  readonly socketDirectory: string;
  readonly superuser: string;
  /** Server messages. Removed with the server unless the caller chose its place. */
  readonly logFile: string;
  /** False once the postmaster is gone, for whatever reason. */
  readonly running: boolean;
  /** Settles when the postmaster is gone. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** libpq URI over the Unix socket, for the superuser; holds no password. Default database `postgres`. */
  connectionString(database?: string): string;
  /** One statement (or several, without parameters) on a connection of its own; rows of the last statement. */
  query(sql: string, options?: QueryOptions): Promise<readonly QueryRow[]>;
  /** A connection, to be closed by `await using` or `close`. */
  connect(options?: Pick<QueryOptions, 'database' | 'signal'>): Promise<PostgresSession>;
  stop(mode?: StopMode, options?: StopOptions): Promise<void>;
}

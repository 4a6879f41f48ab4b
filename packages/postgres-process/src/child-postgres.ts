import type { ChildProcess } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresInstallation } from './installation.ts';
import { readLogTail } from './log-tail.ts';
import { PostgresProcessError, throwIfAborted } from './postgres-process-error.ts';
import type { PostgresServer, StopMode, StopOptions } from './postgres-server.ts';
import { isProcessAlive } from './postmaster-pid.ts';
import { openSession, type PostgresSession, type QueryOptions, type QueryRow } from './session.ts';

export interface ChildPostgresParts {
  readonly child: ChildProcess & { readonly pid: number };
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
  readonly port: number;
  readonly runtimeDirectory: string;
  readonly logFile: string;
  readonly superuser: string;
  readonly callOffWatchdog: () => void;
}

const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' } as const;
const HARD_STOP_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 10;

/** A postmaster that is a child of this process. */
export class ChildPostgres implements PostgresServer {
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
  readonly pid: number;
  readonly port: number;
  readonly socketDirectory: string;
  readonly superuser: string;
  readonly logFile: string;
  readonly exited: PostgresServer['exited'];
  readonly #child: ChildProcess;

  constructor(parts: ChildPostgresParts) {
    this.installation = parts.installation;
    this.dataDirectory = parts.dataDirectory;
    this.pid = parts.child.pid;
    this.port = parts.port;
    this.socketDirectory = parts.runtimeDirectory;
    this.superuser = parts.superuser;
    this.logFile = parts.logFile;
    this.#child = parts.child;
    this.exited = new Promise((done) => {
      parts.child.once('exit', (code, signal) => {
        parts.callOffWatchdog();
        done({ code, signal });
      });
    });
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  connectionString(database = 'postgres'): string {
    const user = encodeURIComponent(this.superuser);
    const host = encodeURIComponent(this.socketDirectory);
    return `postgresql://${user}@${host}:${this.port}/${encodeURIComponent(database)}`;
  }

  async connect(options: Pick<QueryOptions, 'database' | 'signal'> = {}): Promise<PostgresSession> {
    if (!this.running)
      throw new PostgresProcessError({
        code: 'POSTGRES_PROCESS_NOT_RUNNING',
        operation: 'connect',
        message: `Postgres on ${this.dataDirectory} is not running any more; its log ends: ${await readLogTail(this.logFile)}`,
        context: { dataDirectory: this.dataDirectory },
      });
    return openSession({
      host: this.socketDirectory,
      port: this.port,
      user: this.superuser,
      database: options.database ?? 'postgres',
      signal: options.signal,
    });
  }

  async query(sql: string, options: QueryOptions = {}): Promise<readonly QueryRow[]> {
    await using session = await this.connect(options);
    return await session.query(sql, options);
  }

  async stop(mode: StopMode = 'fast', options: StopOptions = {}): Promise<void> {
    throwIfAborted(options.signal, 'stop');
    const children = mode === 'kill' ? await childrenOf(this.pid) : [];
    if (this.running) this.#child.kill(SIGNALS[mode]);
    if (mode === 'kill') for (const pid of children) killQuietly(pid);
    const soft = mode === 'smart' || mode === 'fast';
    await this.#untilGone(options, options.timeoutMs ?? (soft ? undefined : HARD_STOP_TIMEOUT_MS));
    // Orphans must have let go of the shared memory before the next start.
    while ((await Promise.all(children.map(isStillWorking))).includes(true)) await delay(POLL_INTERVAL_MS);
    await rm(this.socketDirectory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('fast');
  }

  async #untilGone(options: StopOptions, timeoutMs: number | undefined): Promise<void> {
    const givenUp = new AbortController();
    const waiting = [givenUp.signal, ...(options.signal ? [options.signal] : [])];
    const timer = delay(timeoutMs ?? 2 ** 31 - 1, 'timeout', { signal: AbortSignal.any(waiting), ref: true });
    const outcome = await Promise.race([this.exited, timer.catch(() => 'aborted')]);
    givenUp.abort();
    if (!this.running) return;
    throwIfAborted(options.signal, 'stop');
    throw new PostgresProcessError({
      code: 'POSTGRES_PROCESS_TIMEOUT',
      operation: 'stop',
      message: `Postgres on ${this.dataDirectory} (pid ${this.pid}) has not stopped after ${timeoutMs} ms (${outcome}); its log ends: ${await readLogTail(this.logFile)}`,
      context: { dataDirectory: this.dataDirectory, pid: this.pid, timeoutMs },
    });
  }
}

/** Each backend is a session of its own, so signalling the postmaster's group would miss them. Empty where unknown. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** A zombie holds nothing any more, but stays visible until somebody collects it. */
async function isStillWorking(pid: number): Promise<boolean> {
  if (!isProcessAlive(pid)) return false;
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/\) [ZX] /.test(state);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already, with its postmaster.
  }
}

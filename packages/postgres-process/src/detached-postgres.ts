import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresInstallation } from './installation.ts';
import { readLogTail } from './log-tail.ts';
import { dataDirectoryOwner, giveDataDirectory } from './ownership.ts';
import { PostgresProcessError, throwIfAborted } from './postgres-process-error.ts';
import { assertNotRunning, isServerRunning, readPostmasterPid } from './postmaster-pid.ts';
import { childEnvironment, identity } from './run-command.ts';
import { type ServerSettings, settingArguments } from './server-settings.ts';
import { serverUserFor } from './server-user.ts';

export interface StartDetachedPostgresOptions {
  readonly installation: PostgresInstallation;
  /** As root: one that root owns is given to the unprivileged account, one of another account is served as that. */
  readonly dataDirectory: string;
  /** Win over every configuration file. Never a secret: the process list shows them. */
  readonly settings: ServerSettings;
  /** Appended to; what it holds from before is not touched. */
  readonly logFile: string;
  /** Default 60 000; a crash recovery may need more. */
  readonly readyTimeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 15;
const IMMEDIATE_AFTER_MS = 5_000;

/**
 * Starts a Postgres that outlives this process, and waits until it accepts connections; returns its pid. It listens where the
 * settings say. Throws `POSTGRES_PROCESS_START` with the last lines of the log, `…_NOT_A_CLUSTER`, `…_RUNNING`,
 * `…_TIMEOUT`, `…_UNREACHABLE`, `…_ABORTED`; nothing runs then.
 */
export async function startDetachedPostgres(options: StartDetachedPostgresOptions): Promise<number> {
  throwIfAborted(options.signal, 'start');
  const dataDirectory = resolve(options.dataDirectory);
  const user = serverUserFor(await dataDirectoryOwner(dataDirectory));
  await assertNotRunning(dataDirectory, 'start');
  if (user) await giveDataDirectory(dataDirectory, user);
  await using log = await open(options.logFile, 'a', 0o600);
  const child = spawn(
    join(options.installation.binDirectory, 'postgres'),
    ['-D', dataDirectory, ...settingArguments(options.settings)],
    {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: childEnvironment(),
      cwd: dataDirectory,
      ...identity(user),
    },
  );
  const ended = new Promise<Error | 'exit'>((done) => {
    child.once('error', done);
    child.once('exit', () => done('exit'));
  });
  child.unref();
  const { pid } = child;
  if (pid === undefined)
    throw failure(options, 'POSTGRES_PROCESS_START', `could not be run: ${String(await ended)}`);
  await untilReady(options, {
    dataDirectory,
    pid,
    isRunning: () => child.exitCode === null && child.signalCode === null,
  });
  return pid;
}

interface Starting {
  readonly dataDirectory: string;
  readonly pid: number;
  readonly isRunning: () => boolean;
}

async function untilReady(options: StartDetachedPostgresOptions, starting: Starting): Promise<void> {
  const timeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS;
  const startedAt = performance.now();
  try {
    for (;;) {
      const { status, pid } = (await readPostmasterPid(starting.dataDirectory)) ?? {};
      if (pid === starting.pid && (status === 'ready' || status === 'standby')) return;
      if (!starting.isRunning())
        throw failure(
          options,
          'POSTGRES_PROCESS_START',
          `ended while starting; its log ends:\n${await readLogTail(options.logFile)}`,
        );
      throwIfAborted(options.signal, 'start');
      if (performance.now() - startedAt > timeoutMs)
        throw failure(
          options,
          'POSTGRES_PROCESS_TIMEOUT',
          `was not ready after ${timeoutMs} ms (${status ?? 'no status'}); its log ends:\n${await readLogTail(options.logFile)}`,
        );
      await delay(POLL_INTERVAL_MS);
    }
  } catch (error) {
    if (starting.isRunning()) await stopStarting(starting);
    throw error;
  }
}

async function stopStarting({ pid, isRunning }: Starting): Promise<void> {
  signalQuietly(pid, 'SIGQUIT');
  const startedAt = performance.now();
  while (isRunning()) {
    if (performance.now() - startedAt > IMMEDIATE_AFTER_MS) signalQuietly(pid, 'SIGKILL');
    await delay(POLL_INTERVAL_MS);
  }
}

export interface StopDetachedPostgresOptions {
  readonly dataDirectory: string;
  /** `fast` (default) rolls back and writes a shutdown checkpoint, `immediate` leaves recovery to the next start. */
  readonly mode?: 'fast' | 'immediate';
  /** After that `fast` becomes `immediate`, and `immediate` a SIGKILL. Default 60 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const STOP_TIMEOUT_MS = 60_000;

/** How a server ended; `not-running` where none was. */
export type DetachedStop = 'clean' | 'immediate' | 'killed' | 'not-running';

/** Stops the server on a data directory, whoever started it, and returns when it is gone. */
export async function stopDetachedPostgres(options: StopDetachedPostgresOptions): Promise<DetachedStop> {
  const { mode = 'fast', timeoutMs = STOP_TIMEOUT_MS } = options;
  const dataDirectory = resolve(options.dataDirectory);
  const pid = (await isServerRunning(dataDirectory))
    ? (await readPostmasterPid(dataDirectory))?.pid
    : undefined;
  if (pid === undefined) return 'not-running';
  const steps = [
    { signal: 'SIGINT', outcome: 'clean', waitMs: timeoutMs },
    { signal: 'SIGQUIT', outcome: 'immediate', waitMs: IMMEDIATE_AFTER_MS },
    { signal: 'SIGKILL', outcome: 'killed', waitMs: Number.POSITIVE_INFINITY },
  ] as const;
  for (const step of steps.slice(mode === 'fast' ? 0 : 1)) {
    signalQuietly(pid, step.signal);
    const startedAt = performance.now();
    while (performance.now() - startedAt < step.waitMs) {
      if (!(await isServerRunning(dataDirectory))) return step.outcome;
      throwIfAborted(options.signal, 'stop');
      await delay(POLL_INTERVAL_MS);
    }
  }
  return 'killed';
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}

function failure(
  { installation, dataDirectory }: StartDetachedPostgresOptions,
  code: 'POSTGRES_PROCESS_START' | 'POSTGRES_PROCESS_TIMEOUT',
  what: string,
): PostgresProcessError {
  return new PostgresProcessError({
    code,
    operation: 'start',
    message: `Postgres ${installation.version} on ${dataDirectory} ${what}`,
    context: { dataDirectory, version: installation.version },
  });
}

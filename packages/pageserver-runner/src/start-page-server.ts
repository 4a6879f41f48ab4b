import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RepositoryPaths } from '@neon-snapshot/repository';
import { parseReport } from './child-report.ts';
import { boundLogFile, readLastLines } from './log-file.ts';
import { isHealthy } from './page-server-client.ts';
import { findPageServer, type PageServerState } from './page-server-state.ts';
import { ReportedFailure, RunnerError, throwIfAborted } from './runner-error.ts';

export interface StartPageServerOptions {
  readonly paths: RepositoryPaths;
  /** The program and its arguments, which make it a page server of `paths` that reports. Never a secret in them. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths in the command and the environment are relative to. Default: the repository's directory. */
  readonly currentDirectory?: string;
  /** Default 120 000: it may have to wait for the lease of a page server that died elsewhere. */
  readonly readyTimeoutMs?: number;
  /** What it says while it starts. */
  readonly onNote?: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const READY_TIMEOUT_MS = 120_000;
const KILL_AFTER_MS = 10_000;
const POLL_INTERVAL_MS = 20;
const LOG_TAIL_LINES = 12;

export function pageServerLogFile(paths: RepositoryPaths): string {
  return join(paths.logsDirectory, 'pageserver.log');
}

/**
 * Starts a page server that outlives this process, and returns when it answers. Throws `RUNNER_START_FAILED` with the end of its
 * log, `RUNNER_START_TIMEOUT`, `RUNNER_ABORTED`, or a {@link ReportedFailure} with the code that the process gave; it does not
 * run then.
 */
export async function startPageServer(options: StartPageServerOptions): Promise<PageServerState> {
  throwIfAborted(options.signal, 'start page server');
  const { paths } = options;
  await mkdir(paths.logsDirectory, { recursive: true });
  const logFile = pageServerLogFile(paths);
  await boundLogFile(logFile);
  await using log = await open(logFile, 'a', 0o600);
  const [program, ...args] = options.command;
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
    env: { ...options.env },
    cwd: options.currentDirectory ?? paths.directory,
  });
  try {
    await untilReady(child, options);
    const state = await untilHealthy(child, options);
    child.unref();
    return state;
  } catch (error) {
    await endChild(child);
    throw error;
  } finally {
    if (child.connected) child.disconnect();
  }
}

async function untilReady(child: ChildProcess, options: StartPageServerOptions): Promise<void> {
  const timeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS;
  const { signal } = options;
  const settled = new AbortController();
  const waits = AbortSignal.any([settled.signal, ...(signal === undefined ? [] : [signal])]);
  try {
    const outcome = await Promise.race([
      report(child, options),
      delay(timeoutMs, 'timeout' as const, { signal: waits }).catch(() => 'aborted' as const),
    ]);
    if (outcome === 'ready') return;
    throwIfAborted(signal, 'start page server');
    if (outcome === 'timeout')
      throw await failure(options, 'RUNNER_START_TIMEOUT', `was not ready after ${timeoutMs} ms`);
    throw await failure(options, 'RUNNER_START_FAILED', `ended while starting (${outcome})`);
  } finally {
    settled.abort();
  }
}

/** Resolves with `ready`, or with how the process ended. */
function report(child: ChildProcess, options: StartPageServerOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      const told = parseReport(message);
      if (told?.kind === 'ready') resolve('ready');
      else if (told?.kind === 'note') options.onNote?.(told.message);
      else if (told?.kind === 'failed') reject(new ReportedFailure(told));
    });
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

async function untilHealthy(child: ChildProcess, options: StartPageServerOptions): Promise<PageServerState> {
  const startedAt = performance.now();
  // A page server that has just taken a long tail makes layers of it first, and may answer late.
  const timeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS;
  for (;;) {
    const found = await findPageServer(options.paths);
    if (found?.state.pid === child.pid && found?.running && (await isHealthy(found.state)))
      return found.state;
    throwIfAborted(options.signal, 'start page server');
    const isOver = child.exitCode !== null || child.signalCode !== null;
    if (isOver) throw await failure(options, 'RUNNER_START_FAILED', 'ended right after its start');
    if (performance.now() - startedAt > timeoutMs)
      throw await failure(options, 'RUNNER_START_TIMEOUT', `does not answer on its HTTP port`);
    await delay(POLL_INTERVAL_MS);
  }
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await gone;
  clearTimeout(timer);
}

async function failure(
  { paths }: StartPageServerOptions,
  code: 'RUNNER_START_FAILED' | 'RUNNER_START_TIMEOUT',
  what: string,
): Promise<RunnerError> {
  const logFile = pageServerLogFile(paths);
  const tail = (await readLastLines(logFile, LOG_TAIL_LINES)).join('\n');
  return new RunnerError({
    code,
    operation: 'start page server',
    message: `the page server of ${paths.directory} ${what}; its log ${logFile} ends:\n${tail}`,
    context: { directory: paths.directory, logFile },
  });
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PostgresProcessError } from './postgres-process-error.ts';

/** What `postmaster.pid` says (`utils/pidfile.h`). */
export interface PostmasterPid {
  readonly pid: number;
  /** Line 8: `starting`, `stopping`, `ready` or `standby`; absent early in a start. */
  readonly status: string | undefined;
}

const STATUS_LINE_INDEX = 7;

export async function readPostmasterPid(dataDirectory: string): Promise<PostmasterPid | undefined> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => undefined);
  const lines = text?.split('\n') ?? [];
  // A single-user backend writes its pid negated.
  const pid = Math.abs(Number.parseInt(lines[0] ?? '', 10));
  return pid > 0 ? { pid, status: lines[STATUS_LINE_INDEX]?.trim() || undefined } : undefined;
}

/** True when a live server owns the data directory; a pid file left by a crash does not count. */
export async function isServerRunning(dataDirectory: string): Promise<boolean> {
  const found = await readPostmasterPid(dataDirectory);
  if (found === undefined || !isProcessAlive(found.pid)) return false;
  // After a crash and a reboot the number may be another program's. Only Linux tells cheaply.
  const facts = await readFile(`/proc/${found.pid}/stat`, 'utf8').catch(() => undefined);
  return facts === undefined || /\((postgres|postmaster)[^)]*\) [^ZX]/.test(facts);
}

export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Throws `POSTGRES_PROCESS_RUNNING` when a server is alive on the directory. */
export async function assertNotRunning(dataDirectory: string, operation: string): Promise<void> {
  if (!(await isServerRunning(dataDirectory))) return;
  const found = await readPostmasterPid(dataDirectory);
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_RUNNING',
    operation,
    message: `${dataDirectory} is in use by a running Postgres (pid ${found?.pid}); stop it first`,
    context: { dataDirectory, pid: found?.pid },
  });
}

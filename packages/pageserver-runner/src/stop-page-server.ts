import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isProcessRunning, type RepositoryPaths } from '@neon-snapshot/repository';
import { findPageServer } from './page-server-state.ts';
import { throwIfAborted } from './runner-error.ts';

export interface StopPageServerOptions {
  readonly paths: RepositoryPaths;
  /** After that it is killed; what it could not push is pushed again from its endpoints after the next start. Default 60 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const STOP_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 20;

/** `stale`: it had crashed or been killed before, and only its state file was left. */
export type PageServerStop = 'clean' | 'killed' | 'stale' | 'not-running';

/** TERM, which makes it push what it has; KILL when that takes too long. Returns when it is gone. */
export async function stopPageServer(options: StopPageServerOptions): Promise<PageServerStop> {
  const { paths, timeoutMs = STOP_TIMEOUT_MS } = options;
  const found = await findPageServer(paths);
  if (found === undefined) return 'not-running';
  const { pid, processIdentity } = found.state;
  if (!found.running) {
    await rm(paths.pageServerFile, { force: true });
    return 'stale';
  }
  const isGone = async () => !(await isProcessRunning({ pid, identity: processIdentity }));
  process.kill(pid, 'SIGTERM');
  const startedAt = performance.now();
  while (!(await isGone())) {
    throwIfAborted(options.signal, 'stop page server');
    if (performance.now() - startedAt > timeoutMs) {
      process.kill(pid, 'SIGKILL');
      while (!(await isGone())) await delay(POLL_INTERVAL_MS);
      await rm(paths.pageServerFile, { force: true });
      return 'killed';
    }
    await delay(POLL_INTERVAL_MS);
  }
  await rm(paths.pageServerFile, { force: true });
  return 'clean';
}

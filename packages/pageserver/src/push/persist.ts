import type { LeaseClock } from '@neon-snapshot/repository';
import { isPageServerError } from '../page-server-error.ts';

const FIRST_DELAY_MS = 100;
const DELAY_MAX_MS = 5_000;

export interface PersistOptions {
  readonly clock: LeaseClock;
  readonly signal: AbortSignal;
  /** Told of each failure, from attempt 1 on. */
  readonly onFailure?: ((error: unknown, attempt: number) => void) | undefined;
  /** Told when it succeeded after failures. */
  readonly onSuccess?: ((attempts: number) => void) | undefined;
}

/**
 * Does something until it succeeds, however long the storage or the disk fails: with waits from 0.1 s to 5 s. Ends early only
 * when the signal fires, with its reason, and when the lease went to somebody else (`PAGESERVER_FENCED`).
 */
export async function persist<Result>(
  work: () => Promise<Result>,
  { clock, signal, onFailure, onSuccess }: PersistOptions,
): Promise<Result> {
  for (let attempt = 1, delayMs = FIRST_DELAY_MS; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      const result = await work();
      if (attempt > 1) onSuccess?.(attempt);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      if (isPageServerError(error, 'PAGESERVER_FENCED')) throw error;
      onFailure?.(error, attempt);
      await clock.sleep(delayMs, signal);
      delayMs = Math.min(delayMs * 2, DELAY_MAX_MS);
    }
  }
}

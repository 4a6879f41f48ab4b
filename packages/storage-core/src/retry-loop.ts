import { setTimeout as sleepFor } from 'node:timers/promises';
import { abortedError, type CallPlace, throwIfAborted } from './call-checks.ts';
import { isStorageError, StorageError } from './storage-error.ts';

export interface RetryOptions {
  /** Attempts in all, the first included; from 1. */
  readonly attemptsMax: number;
  /** Upper bound of the first wait; it doubles with every attempt. */
  readonly baseDelayMs: number;
  readonly delayMaxMs: number;
  /** 0 ≤ x < 1; default `Math.random`. */
  readonly random?: () => number;
  readonly sleep?: (delayMs: number, options: { readonly signal?: AbortSignal | undefined }) => Promise<void>;
  /** Told before each wait. */
  readonly onRetry?: (event: RetryEvent) => void;
}

export interface RetryEvent extends CallPlace {
  /** The attempt that failed, from 1. */
  readonly attempt: number;
  readonly delayMs: number;
  readonly error: StorageError;
}

interface RetriedCall extends CallPlace {
  readonly signal: AbortSignal | undefined;
  /** Asked of an error that is retryable by itself. */
  readonly mayRepeat?: (error: StorageError) => boolean;
}

export interface RetryLoop {
  /** Runs the work until it succeeds, fails for good, or the attempts are used up. */
  run<Result>(call: RetriedCall, work: (attempt: number) => Promise<Result>): Promise<Result>;
}

/** The loop that all verbs of `withRetry` share. */
export function createRetryLoop(options: RetryOptions): RetryLoop {
  const { attemptsMax, baseDelayMs, delayMaxMs, random = Math.random, onRetry } = options;
  if (!Number.isInteger(attemptsMax) || attemptsMax < 1) {
    throw new StorageError({
      code: 'STORAGE_INVALID_OPTION',
      operation: 'open',
      message: `attemptsMax must be a whole number from 1, not ${attemptsMax}`,
    });
  }
  const sleep =
    options.sleep ??
    ((delayMs, { signal }) => sleepFor(delayMs, undefined, signal === undefined ? {} : { signal }));

  const wait = async (call: RetriedCall, attempt: number, error: StorageError): Promise<void> => {
    const delayMs = random() * Math.min(delayMaxMs, baseDelayMs * 2 ** (attempt - 1));
    onRetry?.({ operation: call.operation, key: call.key, attempt, delayMs, error });
    try {
      await sleep(delayMs, { signal: call.signal });
    } catch (cause) {
      if (call.signal?.aborted) throw abortedError(call.signal, call);
      throw cause;
    }
    throwIfAborted(call.signal, call);
  };

  return {
    async run(call, work) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await work(attempt);
        } catch (error) {
          const final = !isStorageError(error) || !error.retryable || call.mayRepeat?.(error) === false;
          if (final || attempt >= attemptsMax) throw error;
          await wait(call, attempt, error);
        }
      }
    },
  };
}

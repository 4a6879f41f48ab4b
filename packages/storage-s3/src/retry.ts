import { setTimeout as sleepFor } from 'node:timers/promises';
import type { StorageError } from '@neon-snapshot/storage-core';

/** Waits between the attempts of one request. */
export interface RetryConfig {
  /** Repeats after the first attempt. */
  readonly retriesMax: number;
  readonly throttleDelayMinMs: number;
  readonly throttleDelayMaxMs: number;
}

/** Time and chance, injected. */
export interface RetryClock {
  /** 0 ≤ x < 1. */
  random(): number;
  sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void>;
}

export const systemClock: RetryClock = {
  random: Math.random,
  sleep: (delayMs, signal) => sleepFor(delayMs, undefined, signal === undefined ? {} : { signal }),
};

const BASE_DELAY_MS = 100;
const DELAY_MAX_MS = 10_000;
const RETRY_AFTER_MAX_MS = 60_000;
/**
 * Before the server has answered a first time, a wrong address is likelier than a hiccup, and waiting seldom cures it. With
 * the default timeouts the user hears within 30 s where no connection is made, and within a minute from a server that is silent.
 */
const FIRST_CONTACT_RETRIES_MAX = 2;

export interface RetryState {
  /** Number of the repeat to come, from 1. */
  readonly repeat: number;
  /** The server has answered some request of this storage, if only with an error. */
  readonly hasAnswered: boolean;
  /** 0 ≤ x < 1. */
  random(): number;
}

/**
 * Wait before the repeat, or undefined when there is none. Full jitter on an exponential bound; a throttled request starts at
 * a higher bound and never comes back before the server's `Retry-After`.
 */
export function retryDelayMs(
  error: StorageError,
  config: RetryConfig,
  { repeat, hasAnswered, random }: RetryState,
): number | undefined {
  if (!error.retryable) return undefined;
  const repeatsMax = hasAnswered ? config.retriesMax : firstContactRetriesMax(error);
  if (repeat > Math.min(repeatsMax, config.retriesMax)) return undefined;
  if (error.code !== 'STORAGE_THROTTLED')
    return random() * Math.min(DELAY_MAX_MS, BASE_DELAY_MS * 2 ** (repeat - 1));
  const bound = Math.min(config.throttleDelayMaxMs, config.throttleDelayMinMs * 2 ** (repeat - 1));
  const retryAfter = error.context.retryAfterSeconds;
  const floor = typeof retryAfter === 'number' ? Math.min(retryAfter * 1000, RETRY_AFTER_MAX_MS) : 0;
  return floor + random() * bound;
}

function firstContactRetriesMax(error: StorageError): number {
  return error.code === 'STORAGE_TIMEOUT' ? 0 : FIRST_CONTACT_RETRIES_MAX;
}

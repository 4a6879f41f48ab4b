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
/** A name that does not resolve or a port where nobody listens is seldom cured by waiting. */
const UNREACHABLE_RETRIES_MAX = 3;

/**
 * Wait before repeat number `repeat` (from 1), or undefined when there is none. Full jitter on an exponential bound;
 * a throttled request starts at a higher bound and never comes back before the server's `Retry-After`.
 */
export function retryDelayMs(
  repeat: number,
  error: StorageError,
  config: RetryConfig,
  random: () => number,
): number | undefined {
  if (!error.retryable) return undefined;
  const repeatsMax = error.context.unreachable === true ? UNREACHABLE_RETRIES_MAX : config.retriesMax;
  if (repeat > Math.min(repeatsMax, config.retriesMax)) return undefined;
  if (error.code !== 'STORAGE_THROTTLED')
    return random() * Math.min(DELAY_MAX_MS, BASE_DELAY_MS * 2 ** (repeat - 1));
  const bound = Math.min(config.throttleDelayMaxMs, config.throttleDelayMinMs * 2 ** (repeat - 1));
  const retryAfter = error.context.retryAfterSeconds;
  const floor = typeof retryAfter === 'number' ? Math.min(retryAfter * 1000, RETRY_AFTER_MAX_MS) : 0;
  return floor + random() * bound;
}

import { setTimeout as delay } from 'node:timers/promises';
import type { LeaseClock } from '@neon-snapshot/repository';

/** A longer timer is one that fires at once. */
const DELAY_MAX_MS = 24 * 3_600_000;

/** The machine's clock; unlike the lease's, waiting keeps the program alive: what waits here still has to be put. */
export const systemClock: LeaseClock = {
  now: () => new Date(),
  sleep: (durationMs, signal) =>
    delay(Math.min(durationMs, DELAY_MAX_MS), undefined, signal === undefined ? {} : { signal }).catch(
      () => undefined,
    ),
};

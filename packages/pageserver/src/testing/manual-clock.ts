import { setTimeout as delay } from 'node:timers/promises';
import type { LeaseClock } from '@neon-snapshot/repository';

const STEP_MS = 500;
/** Long enough for what a woken one does, which may be file I/O. */
const SETTLE_MS = 4;

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

export interface ManualClock extends LeaseClock {
  /** Lets so much time pass, waking whoever's time has come, and lets them do what they then do. */
  advance(durationMs: number): Promise<void>;
}

/** Time that passes only when told to. */
export function createManualClock(start: Date): ManualClock {
  let now = start.getTime();
  let sleepers: Sleeper[] = [];
  return {
    now: () => new Date(now),
    sleep: (durationMs, signal) =>
      new Promise((wake) => {
        sleepers.push({ until: now + durationMs, wake });
        signal?.addEventListener('abort', () => wake(), { once: true });
        if (signal?.aborted === true) wake();
      }),
    async advance(durationMs) {
      for (const end = now + durationMs; now < end; ) {
        now = Math.min(end, now + STEP_MS);
        for (const { until, wake } of sleepers) if (until <= now) wake();
        sleepers = sleepers.filter(({ until }) => until > now);
        await delay(SETTLE_MS);
      }
    },
  };
}

import { setImmediate } from 'node:timers/promises';
import type { LeaseClock } from '../lease/lease-clock.ts';

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

export interface ManualClock extends LeaseClock {
  /** Lets so much time pass, waking whoever's time has come, and lets them do what they then do. */
  advance(durationMs: number): Promise<void>;
}

/** Time that passes only when told to, in steps of a second. */
export function createManualClock(start: Date): ManualClock {
  let now = start.getTime();
  let sleepers: Sleeper[] = [];
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
  };
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
        now = Math.min(end, now + 1000);
        for (const { until, wake } of sleepers) if (until <= now) wake();
        sleepers = sleepers.filter(({ until }) => until > now);
        await settle();
      }
    },
  };
}

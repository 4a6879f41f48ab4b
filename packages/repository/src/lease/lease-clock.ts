import { setTimeout as delay } from 'node:timers/promises';

/** Time as a lease needs it; injected in tests. */
export interface LeaseClock {
  now(): Date;
  /** Resolves after so long, or at once when the signal fires. Never rejects. */
  sleep(durationMs: number, signal: AbortSignal | undefined): Promise<void>;
}

/** The machine's clock; waiting for a renewal does not keep the program alive. */
export const systemClock: LeaseClock = {
  now: () => new Date(),
  sleep: (durationMs, signal) =>
    delay(durationMs, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }).catch(
      () => undefined,
    ),
};

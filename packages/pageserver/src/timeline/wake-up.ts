import type { LeaseClock } from '@neon-snapshot/repository';

/** A sleep that others can end. */
export class WakeUp {
  readonly #clock: LeaseClock;
  #current = new AbortController();
  #isPending = false;

  constructor(clock: LeaseClock) {
    this.#clock = clock;
  }

  /** Ends the sleep, or the next one where nobody sleeps. */
  wake(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    this.#current.abort();
  }

  /** Resolves after so long, or as soon as it is woken. */
  async sleep(durationMs: number): Promise<void> {
    if (!this.#isPending) await this.#clock.sleep(durationMs, this.#current.signal);
    this.#isPending = false;
    this.#current = new AbortController();
  }
}

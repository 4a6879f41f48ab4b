import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';
import type { WaitOptions } from './timeline-types.ts';

/** `wait_lsn_timeout` of Neon's page server. */
const TIMEOUT_DEFAULT_MS = 300_000;

interface Waiter {
  readonly lsn: Lsn;
  readonly settle: (error?: unknown) => void;
}

/** Those who wait until an LSN is reached. */
export class LsnWaiters {
  readonly #what: string;
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();
  #reached: Lsn;
  #end: unknown;

  /** `what` is reached, for messages: `the timeline … has`. */
  constructor(what: string, reached: Lsn) {
    this.#what = what;
    this.#reached = reached;
  }

  get reached(): Lsn {
    return this.#reached;
  }

  /** Wakes those whose LSN this is; an LSN below an earlier one changes nothing. */
  advance(lsn: Lsn): void {
    if (lsn <= this.#reached) return;
    this.#reached = lsn;
    for (const waiter of this.#waiters) if (waiter.lsn <= lsn) waiter.settle();
    for (const listener of this.#listeners) listener();
  }

  /** Calls a listener at every advance; gives what ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Nothing will be reached any more. */
  end(error: unknown): void {
    this.#end = error;
    for (const waiter of this.#waiters) waiter.settle(error);
  }

  async wait(lsn: Lsn, { timeoutMs = TIMEOUT_DEFAULT_MS, signal }: WaitOptions = {}): Promise<void> {
    if (lsn <= this.#reached) return;
    if (this.#end !== undefined) throw this.#end;
    signal?.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    let waiter: Waiter | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const settle = (error?: unknown) => (error === undefined ? resolve() : reject(error));
        waiter = { lsn, settle };
        this.#waiters.add(waiter);
        timer = setTimeout(() => settle(this.#timeout(lsn, timeoutMs)), timeoutMs);
        onAbort = () => settle(signal?.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    } finally {
      clearTimeout(timer);
      if (waiter !== undefined) this.#waiters.delete(waiter);
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    }
  }

  #timeout(lsn: Lsn, timeoutMs: number): PageServerError {
    return new PageServerError({
      code: 'PAGESERVER_TIMEOUT',
      operation: 'wait',
      message: `${formatLsn(lsn)} did not arrive within ${timeoutMs} ms: ${this.#what} ${formatLsn(this.#reached)}; is its Postgres running?`,
      context: { lsn: formatLsn(lsn), reached: formatLsn(this.#reached), timeoutMs },
    });
  }
}

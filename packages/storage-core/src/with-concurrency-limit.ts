import { aroundEach } from './body-iterables.ts';
import { abortedError, type CallPlace, throwIfAborted } from './call-checks.ts';
import { forwardStorage } from './forward-storage.ts';
import type { Storage } from './storage.ts';
import { StorageError } from './storage-error.ts';

/**
 * At most `concurrencyMax` calls at work in the storage. A permit is held only while the storage works, never while it
 * waits for the caller (between chunks of a `get`, for the next chunk of a `put`), so that copying inside one storage
 * cannot deadlock.
 */
export function withConcurrencyLimit(inner: Storage, options: { readonly concurrencyMax: number }): Storage {
  const permits = new Permits(options.concurrencyMax);
  const innerCopy = inner.copy?.bind(inner);
  return forwardStorage(inner, {
    head: (key, call) =>
      permits.run({ operation: 'head', key, signal: call?.signal }, () => inner.head(key, call)),
    delete: (keys, call) =>
      permits.run({ operation: 'delete', key: keys[0], signal: call?.signal }, () =>
        inner.delete(keys, call),
      ),
    async get(key, call) {
      const place = { operation: 'get', key, signal: call?.signal } as const;
      const { info, body } = await permits.run(place, () => inner.get(key, call));
      return { info, body: aroundEach(body, (next) => permits.run(place, next)) };
    },
    list: (call) =>
      aroundEach(inner.list(call), (next) => permits.run({ operation: 'list', signal: call?.signal }, next)),
    put: (key, body, call) =>
      permits.run({ operation: 'put', key, signal: call?.signal }, (permit) => {
        const limited =
          body instanceof Uint8Array ? body : aroundEach(body, (next) => permit.pauseDuring(next));
        return inner.put(key, limited, call);
      }),
    ...(innerCopy === undefined
      ? {}
      : {
          copy: (from, to, call) =>
            permits.run({ operation: 'copy', key: from, signal: call?.signal }, () =>
              innerCopy(from, to, call),
            ),
        }),
  });
}

interface LimitedCall extends CallPlace {
  readonly signal: AbortSignal | undefined;
}

class Permits {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(countMax: number) {
    if (!Number.isInteger(countMax) || countMax < 1) {
      throw new StorageError({
        code: 'STORAGE_INVALID_OPTION',
        operation: 'open',
        message: `concurrencyMax must be a whole number from 1, not ${countMax}`,
      });
    }
    this.#free = countMax;
  }

  async run<Result>(call: LimitedCall, work: (permit: Permit) => Promise<Result>): Promise<Result> {
    await this.acquire(call);
    const permit = new Permit(this);
    try {
      return await work(permit);
    } finally {
      permit.close();
    }
  }

  async acquire(call?: LimitedCall): Promise<void> {
    const signal = call?.signal;
    if (call !== undefined) throwIfAborted(signal, call);
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const granted = () => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      };
      const aborted = () => {
        this.#waiting.splice(this.#waiting.indexOf(granted), 1);
        if (call !== undefined && signal !== undefined) reject(abortedError(signal, call));
      };
      this.#waiting.push(granted);
      signal?.addEventListener('abort', aborted, { once: true });
    });
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/** One call's permit, which may be given back for a while. Never returned twice, also when the call ends meanwhile. */
class Permit {
  readonly #permits: Permits;
  #state: 'held' | 'paused' | 'closed' = 'held';

  constructor(permits: Permits) {
    this.#permits = permits;
  }

  async pauseDuring<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#state === 'held') {
      this.#state = 'paused';
      this.#permits.release();
    }
    try {
      return await work();
    } finally {
      await this.#resume();
    }
  }

  close(): void {
    if (this.#state === 'held') this.#permits.release();
    this.#state = 'closed';
  }

  async #resume(): Promise<void> {
    if (this.#isClosed()) return;
    await this.#permits.acquire();
    if (this.#isClosed()) this.#permits.release();
    else this.#state = 'held';
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

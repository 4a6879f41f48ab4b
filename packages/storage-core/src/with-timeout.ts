import { aroundEach } from './body-iterables.ts';
import { abortedError, type CallPlace } from './call-checks.ts';
import { forwardStorage } from './forward-storage.ts';
import type { Storage } from './storage.ts';
import { StorageError } from './storage-error.ts';

export interface TimeoutOptions {
  /** Longest time without any progress; a large body that moves on is never cut off. */
  readonly timeoutMs: number;
}

/**
 * Ends a call in which the storage shows no progress for `timeoutMs` with a retryable `STORAGE_TIMEOUT`. Progress is:
 * the answer, the next chunk of a `get`, the next page of a `list`, a chunk taken by a `put`. Time in which the storage
 * waits for the caller does not count.
 */
export function withTimeout(inner: Storage, options: TimeoutOptions): Storage {
  const { timeoutMs } = options;
  const innerCopy = inner.copy?.bind(inner);
  const call = <Result>(
    place: CallPlace,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal, watch: Watchdog) => Promise<Result>,
  ): Promise<Result> => {
    const watchdog = new Watchdog({ place, timeoutMs, signal });
    return watchdog.guard(() => work(watchdog.signal, watchdog)).finally(() => watchdog.stop());
  };
  return forwardStorage(inner, {
    head: (key, callOptions) =>
      call({ operation: 'head', key }, callOptions?.signal, (signal) =>
        inner.head(key, { ...callOptions, signal }),
      ),
    delete: (keys, callOptions) =>
      call({ operation: 'delete', key: keys[0] }, callOptions?.signal, (signal) =>
        inner.delete(keys, { ...callOptions, signal }),
      ),
    async get(key, getOptions) {
      const watchdog = new Watchdog({
        place: { operation: 'get', key },
        timeoutMs,
        signal: getOptions?.signal,
      });
      const { info, body } = await watchdog.guard(() =>
        inner.get(key, { ...getOptions, signal: watchdog.signal }),
      );
      return { info, body: aroundEach(body, (next) => watchdog.guard(next)) };
    },
    list(listOptions) {
      const watchdog = new Watchdog({ place: { operation: 'list' }, timeoutMs, signal: listOptions?.signal });
      const pages = inner.list({ ...listOptions, signal: watchdog.signal });
      return aroundEach(pages, (next) => watchdog.guard(next));
    },
    put: (key, body, putOptions) =>
      call({ operation: 'put', key }, putOptions?.signal, (signal, watchdog) => {
        const watched =
          body instanceof Uint8Array ? body : aroundEach(body, (next) => watchdog.pauseDuring(next));
        return inner.put(key, watched, { ...putOptions, signal });
      }),
    ...(innerCopy === undefined
      ? {}
      : {
          copy: (from, to, callOptions) =>
            call({ operation: 'copy', key: from }, callOptions?.signal, (signal) =>
              innerCopy(from, to, { ...callOptions, signal }),
            ),
        }),
  });
}

/** One call's timer: runs while the storage works, and aborts the storage's signal when it runs out. */
class Watchdog {
  readonly signal: AbortSignal;
  readonly #own = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #place: CallPlace;
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly place: CallPlace;
    readonly timeoutMs: number;
    readonly signal: AbortSignal | undefined;
  }) {
    this.#outer = options.signal;
    this.#place = options.place;
    this.#timeoutMs = options.timeoutMs;
    this.signal = AbortSignal.any([
      this.#own.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ]);
  }

  /** Runs the work against the timer, whether or not the storage heeds its signal. */
  async guard<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#outer?.aborted) throw abortedError(this.#outer, this.#place);
    const given = Promise.withResolvers<never>();
    const onAbort = () => given.reject(this.#outcome());
    this.signal.addEventListener('abort', onAbort, { once: true });
    this.#start();
    try {
      return await Promise.race([work(), given.promise]);
    } catch (error) {
      throw this.#own.signal.aborted ? this.#outcome() : error;
    } finally {
      this.stop();
      this.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Stops the timer while the storage waits for the caller, and starts it anew afterwards. */
  async pauseDuring<Result>(wait: () => Promise<Result>): Promise<Result> {
    this.stop();
    try {
      return await wait();
    } finally {
      this.#start();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #start(): void {
    this.stop();
    this.#timer = setTimeout(() => this.#own.abort(), this.#timeoutMs);
  }

  #outcome(): StorageError {
    if (!this.#own.signal.aborted && this.#outer !== undefined) return abortedError(this.#outer, this.#place);
    const { operation, key } = this.#place;
    return new StorageError({
      code: 'STORAGE_TIMEOUT',
      operation,
      message: `${operation}${key === undefined ? '' : ` of ${key}`} made no progress for ${this.#timeoutMs} ms`,
      key,
      retryable: true,
      context: { timeoutMs: this.#timeoutMs },
    });
  }
}

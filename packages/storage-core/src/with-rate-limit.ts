import { setTimeout as sleepFor } from 'node:timers/promises';
import { abortedError, throwIfAborted } from './call-checks.ts';
import { forwardStorage } from './forward-storage.ts';
import type { PutBody, Storage } from './storage.ts';
import { StorageError, type StorageOperation } from './storage-error.ts';
import { withoutBulkVerbs } from './without-bulk-verbs.ts';

export interface RateLimitOptions {
  /** Bytes of `get` and `put` bodies together, on average; up to one second's worth may pass at once. */
  readonly bytesPerSecondMax: number;
  /** Monotonic milliseconds; default `performance.now`. */
  readonly nowMs?: () => number;
  readonly sleep?: (delayMs: number, options: { readonly signal?: AbortSignal | undefined }) => Promise<void>;
}

/**
 * Never waits, though it counts: a lease has to be renewed in time, however many bytes went out before it. Below a page of
 * Postgres, so that no file of pages slips through.
 */
const UNDELAYED_BYTES_MAX = 4096;

/**
 * Holds body bytes to a rate. A put of an array waits until earlier bytes are paid for, then goes out whole; one of at most 4 KiB
 * goes out at once.
 */
export function withRateLimit(inner: Storage, options: RateLimitOptions): Storage {
  const bucket = new TokenBucket(options);
  const limited = async function* (
    body: AsyncIterable<Uint8Array>,
    call: {
      readonly operation: StorageOperation;
      readonly key: string;
      readonly signal?: AbortSignal | undefined;
    },
  ): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      await bucket.take(chunk.byteLength, call);
      yield chunk;
    }
  };
  return forwardStorage(inner, {
    ...withoutBulkVerbs(inner),
    async get(key, getOptions) {
      const { info, body } = await inner.get(key, getOptions);
      return { info, body: limited(body, { operation: 'get', key, signal: getOptions?.signal }) };
    },
    async put(key, body: PutBody, putOptions) {
      const call = { operation: 'put', key, signal: putOptions?.signal } as const;
      if (!(body instanceof Uint8Array)) return inner.put(key, limited(body, call), putOptions);
      await bucket.take(body.byteLength, call);
      return inner.put(key, body, putOptions);
    },
  });
}

/** Takes may overdraw; whoever comes next waits until the balance is back at zero. */
class TokenBucket {
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  readonly #nowMs: () => number;
  readonly #sleep: NonNullable<RateLimitOptions['sleep']>;
  #balance: number;
  #updatedMs: number;

  constructor(options: RateLimitOptions) {
    if (!(options.bytesPerSecondMax > 0)) {
      throw new StorageError({
        code: 'STORAGE_INVALID_OPTION',
        operation: 'open',
        message: `bytesPerSecondMax must be above 0, not ${options.bytesPerSecondMax}`,
      });
    }
    this.#bytesPerMs = options.bytesPerSecondMax / 1000;
    this.#burstBytes = options.bytesPerSecondMax;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#sleep =
      options.sleep ?? ((delayMs, { signal }) => sleepFor(delayMs, undefined, signal && { signal }));
    this.#balance = this.#burstBytes;
    this.#updatedMs = this.#nowMs();
  }

  async take(
    bytes: number,
    call: {
      readonly operation: StorageOperation;
      readonly key: string;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<void> {
    const { signal } = call;
    throwIfAborted(signal, call);
    const now = this.#nowMs();
    this.#balance = Math.min(this.#burstBytes, this.#balance + (now - this.#updatedMs) * this.#bytesPerMs);
    this.#updatedMs = now;
    const debtBytes = -this.#balance;
    this.#balance -= bytes;
    if (debtBytes <= 0 || bytes <= UNDELAYED_BYTES_MAX) return;
    try {
      await this.#sleep(debtBytes / this.#bytesPerMs, { signal });
    } catch (error) {
      if (signal?.aborted) throw abortedError(signal, call);
      throw error;
    }
  }
}

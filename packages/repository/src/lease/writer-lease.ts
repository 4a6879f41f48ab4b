import { isRepositoryError, type RepositoryError } from '../repository-error.ts';
import type { LeaseClock } from './lease-clock.ts';
import { expiredError, lostError } from './lease-errors.ts';
import type { LeaseObject, StoredLease } from './lease-object.ts';
import { isExpired, isSameHolding, RENEWAL_INTERVAL_MS, released, renewed } from './lease-state.ts';

/** How soon a renewal that failed is tried again. */
const RENEWAL_RETRY_MS = 1_000;
const RELEASE_ATTEMPTS_MAX = 2;

/** The right to write a tenant. Dispose it to give it up; a process that dies loses it by expiry. */
export interface WriterLease extends AsyncDisposable {
  /** Goes into the names of everything that its holder writes: higher than that of every earlier holder. */
  readonly generation: number;
  /**
   * Fires, with a `REPOSITORY_LEASE_LOST` as reason, once somebody else holds the lease, or it could not be renewed in time and
   * was not to outlive that.
   */
  readonly signal: AbortSignal;
  /** By the own clock: others may take it now. A renewal that succeeds makes it good again. */
  readonly isExpired: boolean;
  /**
   * Renews, which the storage grants to nobody but the holder. To be called right before anything is published: the lease is
   * then good for its full duration. Rejects with `REPOSITORY_LEASE_LOST`, or the `StorageError` that leaves it open.
   */
  assertHeld(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Reads the lease. When it resolves, what was put before the call is seen by every later holder, since that one looks at the
   * storage only after it has taken the lease. Rejects as `assertHeld`.
   */
  verify(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Ends the holding; the next one need not wait. The record stays for its generation, unless it is to be forgotten
   * because nothing is left there that carries one. A lost lease is left alone. Idempotent; never rejects, since
   * an unreleased lease only expires later.
   */
  release(options?: { readonly forget?: boolean }): Promise<void>;
}

/** A lease that was acquired, renewed in the background until it is released or lost. */
export class HeldWriterLease implements WriterLease {
  readonly generation: number;
  readonly #object: LeaseObject;
  readonly #clock: LeaseClock;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  readonly #renewals: Promise<void>;
  readonly #outlivesExpiry: boolean;
  #stored: StoredLease;
  /** Puts of the one object follow each other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    readonly object: LeaseObject;
    readonly clock: LeaseClock;
    readonly stored: StoredLease;
    readonly outlivesExpiry: boolean;
  }) {
    this.#outlivesExpiry = parts.outlivesExpiry;
    this.#object = parts.object;
    this.#clock = parts.clock;
    this.#stored = parts.stored;
    this.generation = parts.stored.record.generation;
    this.#renewals = this.#keepRenewing();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get isExpired(): boolean {
    return isExpired(this.#stored.record, this.#clock.now());
  }

  assertHeld(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#inTurn(() => this.#renew(options.signal));
  }

  verify(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#inTurn(() => this.#verify(options.signal));
  }

  async release({ forget = false }: { readonly forget?: boolean } = {}): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    await this.#renewals;
    try {
      await this.#inTurn(() => (forget ? this.#forget() : this.#putReleased()));
    } catch {
      // Lost or out of reach: either way it is no longer ours to change, and it expires.
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  async #keepRenewing(): Promise<void> {
    let waitMs = RENEWAL_INTERVAL_MS;
    for (;;) {
      await this.#clock.sleep(waitMs, this.#ended.signal);
      if (this.#ended.signal.aborted || this.#lost.signal.aborted) return;
      try {
        await this.#inTurn(() => this.#renew(undefined));
        waitMs = RENEWAL_INTERVAL_MS;
      } catch (error) {
        waitMs = RENEWAL_RETRY_MS;
        if (this.#ended.signal.aborted || this.#outlivesExpiry || !this.isExpired) continue;
        this.#lose(expiredError(this.#object.place, this.#stored.record, error));
      }
    }
  }

  async #renew(signal: AbortSignal | undefined): Promise<void> {
    this.#throwIfLost();
    const own = this.#stored.record;
    const outcome = await this.#object.put(renewed(own, this.#clock.now()), {
      expected: this.#stored,
      signal,
    });
    if (outcome.kind === 'conflict') return this.#loseTo(outcome.found);
    this.#stored = outcome.stored;
  }

  async #verify(signal: AbortSignal | undefined): Promise<void> {
    this.#throwIfLost();
    const found = await this.#object.read({ signal });
    if (found === undefined || !isSameHolding(found.record, this.#stored.record)) return this.#loseTo(found);
    // A renewal whose answer was lost may have made another version.
    this.#stored = found;
  }

  async #putReleased(): Promise<void> {
    for (let attempt = 1; attempt <= RELEASE_ATTEMPTS_MAX && !this.#stored.record.isReleased; attempt += 1) {
      this.#throwIfLost();
      const record = released(this.#stored.record, this.#clock.now());
      const outcome = await this.#object.put(record, { expected: this.#stored });
      if (outcome.kind === 'conflict') return;
      // May be an earlier renewal whose answer was lost; then the release itself is still to come.
      this.#stored = outcome.stored;
    }
  }

  /** Renewed first: nobody else can have it between that and the deletion. */
  async #forget(): Promise<void> {
    await this.#renew(undefined);
    await this.#object.delete();
  }

  #loseTo(found: StoredLease | undefined): void {
    const own = this.#stored.record;
    this.#lose(lostError(this.#object.place, { own, found: found?.record }));
    this.#throwIfLost();
  }

  #lose(error: RepositoryError): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(error);
  }

  #throwIfLost(): void {
    const reason: unknown = this.#lost.signal.reason;
    if (this.#lost.signal.aborted && isRepositoryError(reason)) throw reason;
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

import {
  deleteTailChunks,
  obsoleteTailChunks,
  putTailChunk,
  type TailChunk,
} from '@neon-snapshot/neon-timeline';
import { type Lsn, lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { TailBuffer, TailPart } from '../ingest/tail-buffer.ts';
import type { Durability } from '../page-server/options.ts';
import { SerialQueue } from './serial-queue.ts';
import type { WriteGuard } from './write-guard.ts';

/** One put: more goes into several. */
const CHUNK_BYTES_MAX = 16n * 1024n * 1024n;
/** With `remote` a commit does not wait for the put of an earlier one to end before its own begins. */
const PUTS_MAX: Readonly<Record<Durability, number>> = { local: 1, remote: 4 };

export interface TailPusherOptions {
  readonly storage: Storage;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly durability: Durability;
  readonly guard: WriteGuard;
  readonly tail: TailBuffer;
  /** End of the last complete record: chunks are cut at records only. */
  readonly recordEnd: () => Lsn;
  /** Repeats until it succeeds; see `persist`. */
  readonly persist: <Result>(what: string, work: () => Promise<Result>) => Promise<Result>;
  readonly signal: AbortSignal;
  /** Everything up to `end`, the end of a record, survives the loss of this machine. */
  readonly onDurable: (end: Lsn) => void;
  readonly onChunk: (sizeBytes: number) => void;
}

interface Part extends TailPart {
  /** Whether it ends with a record: one that was too large for a chunk does not. */
  readonly isWhole: boolean;
}

interface Waiter {
  readonly end: Lsn;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Brings raw WAL to the storage, a few chunks at once. What counts is what is there without a gap; with `remote`, what was there when the lease
 * was read and was still held: one such reading serves all that was put before it.
 */
export class TailPusher {
  readonly #options: TailPusherOptions;
  readonly #deletions = new SerialQueue();
  /** In the storage, of every generation. */
  #chunks: readonly TailChunk[] = [];
  /** What is asked for; where the next chunk begins; what is there without a gap, as far as records are whole; what counts. */
  #wanted: Lsn = ZERO_LSN;
  #next: Lsn = ZERO_LSN;
  #storedTo: Lsn = ZERO_LSN;
  #stored: Lsn = ZERO_LSN;
  #durable: Lsn = ZERO_LSN;
  /** Put, but not what lies before them, by their start. */
  readonly #ahead = new Map<Lsn, Part>();
  #putCount = 0;
  #isVerifying = false;
  #failure: { readonly error: unknown } | undefined;
  #waiters: readonly Waiter[] = [];

  constructor(options: TailPusherOptions) {
    this.#options = options;
  }

  /** These are there already. */
  adopt(chunks: readonly TailChunk[]): void {
    this.#chunks = [...chunks, ...this.#chunks];
  }

  /** Puts what is complete now, in the background. */
  request(): void {
    const end = this.#options.recordEnd();
    if (end > this.#wanted) this.#wanted = end;
    this.#pump();
  }

  /** Puts what is complete now; resolves when it counts. */
  push(): Promise<void> {
    const { tail, recordEnd } = this.#options;
    const end = recordEnd();
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (end <= this.#durable || (this.#putCount === 0 && end <= tail.start && !this.#isVerifying))
      return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters = [...this.#waiters, { end, resolve, reject }];
      this.request();
    });
  }

  /** Deletes what nobody needs once an index is in the storage whose last record begins at `keepFrom`. */
  forget(keepFrom: Lsn): Promise<void> {
    return this.#deletions.run(async () => {
      const { guard, persist, signal, storage } = this.#options;
      const obsolete = obsoleteTailChunks(this.#chunks, { generation: guard.generation, keepFrom });
      if (obsolete.length === 0) return;
      await persist('delete raw WAL', () => deleteTailChunks(storage, obsolete, { signal }));
      const gone = new Set(obsolete);
      this.#chunks = this.#chunks.filter((chunk) => !gone.has(chunk));
    });
  }

  #pump(): void {
    const { tail, durability } = this.#options;
    if (this.#putCount === 0 && this.#next < tail.start)
      [this.#next, this.#storedTo] = [tail.start, tail.start];
    while (
      this.#failure === undefined &&
      this.#putCount < PUTS_MAX[durability] &&
      this.#next < this.#wanted
    ) {
      // Only the last one needs to end with a record: a new owner leaves out what is not whole.
      const isWhole = this.#wanted - this.#next <= CHUNK_BYTES_MAX;
      const end = isWhole ? this.#wanted : lsn(this.#next + CHUNK_BYTES_MAX);
      const part = { ...tail.read(this.#next, end), isWhole };
      this.#next = end;
      this.#putCount += 1;
      void this.#put(part);
    }
  }

  async #put(part: Part): Promise<void> {
    const { durability, guard, persist, signal, onChunk } = this.#options;
    try {
      if (durability === 'local') await persist('renew the lease', () => guard.assertLive(signal));
      const chunk = await persist('put raw WAL', () => this.#putChunk(part));
      this.#chunks = [...this.#chunks, chunk];
      this.#putCount -= 1;
      this.#ahead.set(part.start, part);
      this.#advance();
      onChunk(part.bytes.length);
      if (durability === 'remote') await this.#verify();
      else this.#count(this.#stored);
    } catch (error) {
      this.#fail(error);
    }
    this.#pump();
  }

  #putChunk({ start, bytes }: Part): Promise<TailChunk> {
    const { storage, tenantId, timelineId, guard, signal } = this.#options;
    const { generation } = guard;
    return putTailChunk(storage, { tenantId, timelineId, start, bytes, generation, signal });
  }

  /** As far as there is no gap. */
  #advance(): void {
    for (
      let part = this.#ahead.get(this.#storedTo);
      part !== undefined;
      part = this.#ahead.get(this.#storedTo)
    ) {
      this.#ahead.delete(part.start);
      this.#storedTo = part.end;
      if (part.isWhole) this.#stored = part.end;
    }
    this.#options.tail.discard(this.#storedTo);
  }

  async #verify(): Promise<void> {
    const { guard, persist, signal } = this.#options;
    if (this.#isVerifying) return;
    this.#isVerifying = true;
    try {
      while (this.#durable < this.#stored) {
        const stored = this.#stored;
        // The next chunk goes on its way meanwhile.
        this.#pump();
        await persist('verify the lease', () => guard.verify(signal));
        this.#count(stored);
      }
    } finally {
      this.#isVerifying = false;
    }
  }

  #count(end: Lsn): void {
    if (end <= this.#durable) return;
    this.#durable = end;
    this.#options.onDurable(end);
    const isDone = (waiter: Waiter) => waiter.end <= end;
    for (const waiter of this.#waiters.filter(isDone)) waiter.resolve();
    this.#waiters = this.#waiters.filter((waiter) => !isDone(waiter));
  }

  /** Fenced or closed: there is no other end. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters = [];
  }
}

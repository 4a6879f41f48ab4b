import {
  deleteTailChunks,
  obsoleteTailChunks,
  putTailChunk,
  type TailChunk,
} from '@neon-snapshot/neon-timeline';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { TailBuffer } from '../ingest/tail-buffer.ts';
import type { Durability } from '../page-server/options.ts';
import { SerialQueue } from './serial-queue.ts';
import type { WriteGuard } from './write-guard.ts';

/** One put: more goes into several. */
const CHUNK_BYTES_MAX = 16n * 1024n * 1024n;

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

/** Brings raw WAL to the storage, one chunk after the other. */
export class TailPusher {
  readonly #options: TailPusherOptions;
  readonly #queue = new SerialQueue();
  /** In the storage, of every generation. */
  #chunks: readonly TailChunk[] = [];

  constructor(options: TailPusherOptions) {
    this.#options = options;
  }

  /** These are there already. */
  adopt(chunks: readonly TailChunk[]): void {
    this.#chunks = [...chunks, ...this.#chunks];
  }

  /** Puts what was complete when it was called. */
  push(): Promise<void> {
    const end = this.#options.recordEnd();
    return this.#queue.run(() => this.#pushTo(end));
  }

  /** Deletes what nobody needs once an index is in the storage whose last record begins at `keepFrom`. */
  forget(keepFrom: Lsn): Promise<void> {
    return this.#queue.run(async () => {
      const { guard, persist, signal, storage } = this.#options;
      const obsolete = obsoleteTailChunks(this.#chunks, { generation: guard.generation, keepFrom });
      if (obsolete.length === 0) return;
      await persist('delete raw WAL', () => deleteTailChunks(storage, obsolete, { signal }));
      const gone = new Set(obsolete);
      this.#chunks = this.#chunks.filter((chunk) => !gone.has(chunk));
    });
  }

  async #pushTo(end: Lsn): Promise<void> {
    const { tail, onChunk, onDurable, persist, durability, guard, signal } = this.#options;
    while (tail.start < end) {
      // Only the last one needs to end with a record: a new owner leaves out what is not whole.
      const limit = lsn(tail.start + CHUNK_BYTES_MAX);
      const part = tail.read(limit < end ? limit : end);
      if (durability === 'local') await persist('renew the lease', () => guard.assertLive(signal));
      const chunk = await persist('put raw WAL', () => this.#put(part.start, part.bytes));
      if (durability === 'remote') await persist('verify the lease', () => guard.verify(signal));
      this.#chunks = [...this.#chunks, chunk];
      tail.discard(part.end);
      onChunk(part.bytes.length);
      if (part.end === end) onDurable(end);
    }
  }

  #put(start: Lsn, bytes: Uint8Array): Promise<TailChunk> {
    const { storage, tenantId, timelineId, guard, signal } = this.#options;
    const { generation } = guard;
    return putTailChunk(storage, { tenantId, timelineId, start, bytes, generation, signal });
  }
}

import {
  firstReadableLsn,
  type KeyRange,
  type PageBatch,
  type TimelineReader,
  TimelineView,
} from '@neon-snapshot/neon-layer';
import { ReloadingTimeline } from '@neon-snapshot/neon-timeline';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { PageServerError } from '../page-server-error.ts';
import { isMissingLayer, type ReadableState, readValue, readValues } from './read-path.ts';
import type { KeyReads } from './relation-facts.ts';
import type { CallOptions } from './timeline-types.ts';

/** Each time layers were compacted away between looking them up and reading them. */
const ATTEMPTS_MAX = 3;
/** Index blocks of layers that one reader keeps. */
const READER_CACHE_BYTES = 16 * 1024 * 1024;

export interface TimelineReadsOptions {
  readonly timelineId: string;
  /** Layers by way of the cache. */
  readonly storage: Storage;
  readonly state: () => ReadableState;
  readonly lastRecordLsn: () => Lsn;
  readonly freeze: () => Promise<void>;
  /** Garbage collection leaves the LSN alone: it is readable below the GC cutoff too. */
  readonly isPinned: (lsn: Lsn) => boolean;
  /** The same, and also by the name of a snapshot, which pins it from then on. */
  readonly isKept: (lsn: Lsn) => boolean | Promise<boolean>;
}

/** Reads of a timeline at any LSN that it has. */
export class TimelineReads implements KeyReads {
  readonly #options: TimelineReadsOptions;

  constructor(options: TimelineReadsOptions) {
    this.#options = options;
  }

  async get(key: Uint8Array, lsn: Lsn, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    this.#check(lsn);
    return this.#withLayers((state) => readValue(state, key, lsn, options));
  }

  async getMany(
    keys: readonly Uint8Array[],
    lsn: Lsn,
    options: CallOptions = {},
  ): Promise<readonly (Uint8Array | undefined)[]> {
    this.#check(lsn);
    return this.#withLayers((state) => readValues(state, keys, lsn, options));
  }

  /** Outlives its layers: where one was compacted and deleted, it goes on by those that there are now. */
  async readerAt(lsn: Lsn, { signal }: CallOptions = {}): Promise<TimelineReader> {
    this.#check(lsn);
    const { state, freeze, storage, isKept } = this.#options;
    if (lsn > state().view.lsn) await freeze();
    const open = () => {
      const { view, redo } = state();
      const options = { lsn, pinned: true, redo, cacheBytes: READER_CACHE_BYTES, signal };
      return TimelineView.open(storage, view.source, options);
    };
    const reopen = async () => {
      // A lease may have ended meanwhile, while a name still keeps the LSN.
      if (lsn < firstReadableLsn(state().view.source)) await isKept(lsn);
      this.#check(lsn);
      return open();
    };
    return new ReloadingTimeline({ view: await open(), reopen });
  }

  async *readPages(range: KeyRange, lsn: Lsn, options: CallOptions = {}): AsyncGenerator<PageBatch> {
    const reader = await this.readerAt(lsn, options);
    try {
      yield* reader.readPages(range, options);
    } finally {
      reader.close();
    }
  }

  async #withLayers<Result>(read: (state: ReadableState) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      const state = this.#options.state();
      try {
        return await read(state);
      } catch (error) {
        const isStale = this.#options.state().view.source !== state.view.source;
        if (attempt >= ATTEMPTS_MAX || !isStale || !isMissingLayer(error)) throw error;
      }
    }
  }

  #check(lsn: Lsn): void {
    const last = this.#options.lastRecordLsn();
    const first = firstReadableLsn(this.#options.state().view.source);
    if (lsn <= last && (lsn >= first || this.#options.isPinned(lsn))) return;
    const reason =
      lsn > last
        ? `its last record ends at ${formatLsn(last)}`
        : `what lies before ${formatLsn(first)} was given up to garbage collection`;
    throw new PageServerError({
      code: 'PAGESERVER_LSN_OUT_OF_RANGE',
      operation: 'read',
      message: `timeline ${this.#options.timelineId} cannot be read at ${formatLsn(lsn)}: ${reason}`,
      context: { lsn: formatLsn(lsn), first: formatLsn(first), last: formatLsn(last) },
    });
  }
}

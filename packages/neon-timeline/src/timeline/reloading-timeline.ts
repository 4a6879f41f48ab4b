/** A timeline that is read while others compact it and collect its garbage: layers that the index named may go. */
import {
  isNeonLayerError,
  type KeyChain,
  type KeyRange,
  type KeyValue,
  nextKey,
  type PageBatch,
  type PageReadOptions,
  type ReadOptions,
  relBlockKey,
  type TimelineReader,
  type TimelineSource,
  type TimelineView,
} from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import { isStorageError } from '@neon-snapshot/storage-core';

/** Of one call, without getting any further in between. */
const RELOADS_MAX = 10;

export interface ReloadingTimelineOptions {
  readonly view: TimelineView;
  /** The same LSN by the newest index. */
  readonly reopen: () => Promise<TimelineView>;
}

/**
 * Reads a view, and where a layer is missing goes on at the same place by a new one. Where the newest index still names a missing layer
 * the fault is passed on; so is `NEON_LAYER_LSN_OUT_OF_RANGE` where the LSN was collected as garbage meanwhile.
 */
export class ReloadingTimeline implements TimelineReader {
  readonly lsn: Lsn;
  readonly #reopen: ReloadingTimelineOptions['reopen'];
  readonly #views: TimelineView[];
  #view: TimelineView;
  #reloading: Promise<TimelineView> | undefined;

  constructor({ view, reopen }: ReloadingTimelineOptions) {
    this.lsn = view.lsn;
    this.#view = view;
    this.#views = [view];
    this.#reopen = reopen;
  }

  get source(): TimelineSource {
    return this.#view.source;
  }

  get(key: Uint8Array, options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    return this.#retrying((view) => view.get(key, options));
  }

  chain(key: Uint8Array, options: ReadOptions = {}): Promise<KeyChain | undefined> {
    return this.#retrying((view) => view.chain(key, options));
  }

  getMany(
    keys: readonly Uint8Array[],
    options: ReadOptions = {},
  ): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#retrying((view) => view.getMany(keys, options));
  }

  scan(range: KeyRange, options: ReadOptions = {}): AsyncGenerator<readonly KeyValue[]> {
    const lastKeyOf = (entries: readonly KeyValue[]) => entries.at(-1)?.key;
    return this.#resuming({ range, lastKeyOf, read: (view, rest) => view.scan(rest, options) });
  }

  readPages(range: KeyRange, options: PageReadOptions = {}): AsyncGenerator<PageBatch> {
    return this.#resuming({
      range,
      lastKeyOf: lastKeyOfBatch,
      read: (view, rest) => view.readPages(rest, options),
    });
  }

  close(): void {
    for (const view of this.#views) view.close();
  }

  async #retrying<T>(read: (view: TimelineView) => Promise<T>): Promise<T> {
    for (let left = RELOADS_MAX; ; left--) {
      const view = this.#view;
      try {
        return await read(view);
      } catch (error) {
        if (left === 0 || !(await this.#hasReloaded({ error, view }))) throw error;
      }
    }
  }

  /** Items end at keys, so that what was handed out is never read again. */
  async *#resuming<T>(of: {
    readonly range: KeyRange;
    readonly lastKeyOf: (item: T) => Uint8Array | undefined;
    readonly read: (view: TimelineView, rest: KeyRange) => AsyncIterable<T>;
  }): AsyncGenerator<T> {
    let rest = of.range;
    for (let left = RELOADS_MAX; ; left--) {
      const view = this.#view;
      try {
        for await (const item of of.read(view, rest)) {
          const key = of.lastKeyOf(item);
          if (key !== undefined) rest = { start: nextKey(key), end: rest.end };
          left = RELOADS_MAX;
          yield item;
        }
        return;
      } catch (error) {
        if (left === 0 || !(await this.#hasReloaded({ error, view }))) throw error;
      }
    }
  }

  /** Whether there is another view by now than the one that failed. */
  async #hasReloaded(failed: { readonly error: unknown; readonly view: TimelineView }): Promise<boolean> {
    const missing = missingLayerOf(failed.error);
    if (missing === undefined) return false;
    if (this.#view !== failed.view) return true;
    this.#reloading ??= this.#reload();
    const view = await this.#reloading;
    return !view.source.layers.layers.some(({ objectKey }) => objectKey === missing);
  }

  async #reload(): Promise<TimelineView> {
    try {
      this.#view = await this.#reopen();
      this.#views.push(this.#view);
      return this.#view;
    } finally {
      this.#reloading = undefined;
    }
  }
}

/** Key of the layer whose object is not there, where that is what an error is about. */
function missingLayerOf(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    if (!isNeonLayerError(at) || !isStorageError(at.cause, 'STORAGE_NOT_FOUND')) continue;
    const { layer } = at.context;
    if (typeof layer === 'string') return layer;
  }
  return undefined;
}

function lastKeyOfBatch({ runs, blockNumbers, pageCount }: PageBatch): Uint8Array | undefined {
  const tag = runs.at(-1)?.tag;
  const block = blockNumbers[pageCount - 1];
  return tag === undefined || block === undefined ? undefined : relBlockKey(tag, block);
}

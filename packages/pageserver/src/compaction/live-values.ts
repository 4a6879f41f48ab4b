/** The stored blobs of live keys at one LSN, in key order: what an image layer holds. */
import { setImmediate } from 'node:timers/promises';
import {
  BLOCK_SIZE,
  compareKeys,
  describeKey,
  encodePlainBlob,
  KEY_PREFIX_SIZE,
  type KeyRange,
  type PageBatch,
  type PageCompressor,
  relBlockKey,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import type { CallOptions } from '../timeline/timeline-types.ts';
import { type ChangedPages, type StoredPage, storedPages } from './changed-pages.ts';
import { invalidState } from './invalid-state.ts';
import type { LiveKeys } from './keyspace.ts';
import { keyBehind } from './partition.ts';

/** Values other than pages that are read at once. */
const GROUP_KEYS = 1024;
/** Forks of the free space map and the visibility map, which Postgres makes anew where they are not as expected. */
const REPAIRABLE_FORKS: readonly number[] = [1, 2];
const ZERO_PAGE = new Uint8Array(BLOCK_SIZE);

export interface StoredValue {
  readonly key: Uint8Array;
  /** Header and payload. */
  readonly blob: Uint8Array;
}

export interface LiveValuesOptions extends CallOptions {
  readonly view: TimelineReader;
  readonly compressor: PageCompressor;
  /** Makes the blobs of pages that delta layers changed. */
  readonly pages: ChangedPages;
}

/**
 * The values of `keys`, which ascend and lie in `range`. Pages that no delta layer changed stay as they are stored. A page that is not
 * there fails the whole with `PAGESERVER_INVALID_STATE`, but for maps that Postgres repairs: they become zero pages, as in Neon.
 */
export async function* liveValues(
  keys: readonly LiveKeys[],
  range: KeyRange,
  options: LiveValuesOptions,
): AsyncGenerator<StoredValue> {
  const { view, signal } = options;
  const stream = new PageStream(view.readPages(range, { signal }), options);
  const others = new OtherValues(keys, options);
  try {
    for (const live of keys) {
      if (live.tag === undefined) yield* others.take(live);
      else yield* pagesOf(live, stream);
    }
  } finally {
    await stream.close();
  }
}

async function* pagesOf({ key, count, tag }: LiveKeys, stream: PageStream): AsyncGenerator<StoredValue> {
  for (let i = 0; i < count; i += 1) {
    const wanted = keyBehind(key, i);
    if (stream.isAt(wanted) || (await stream.seek(wanted))) {
      yield { key: wanted, blob: stream.storedBlob() ?? (await stream.makeBlob()) };
      continue;
    }
    if (tag === undefined || !REPAIRABLE_FORKS.includes(tag.forkNum)) throw missing(wanted);
    yield { key: wanted, blob: encodePlainBlob(ZERO_PAGE) };
  }
}

/** Relation pages as they come; those that are asked for, in ascending order, are found among them. */
class PageStream {
  readonly #batches: AsyncGenerator<PageBatch>;
  readonly #pages: ChangedPages;
  #keys: readonly Uint8Array[] = [];
  #stored: readonly StoredPage[] = [];
  #index = 0;

  constructor(batches: AsyncGenerator<PageBatch>, { pages }: LiveValuesOptions) {
    this.#batches = batches;
    this.#pages = pages;
  }

  /** Goes on to the page as far as the batch at hand goes; true where it is there. */
  isAt(key: Uint8Array): boolean {
    for (; this.#index < this.#keys.length; this.#index += 1) {
      const order = compareKeys(this.#keys[this.#index] ?? key, key);
      if (order >= 0) return order === 0;
    }
    return false;
  }

  /** Goes on to the page; false where it is not there. */
  async seek(key: Uint8Array): Promise<boolean> {
    while (!this.isAt(key)) {
      if (this.#index < this.#keys.length) return false;
      // Reads that the cache answers take no turn of the event loop by themselves.
      await setImmediate();
      const next = await this.#batches.next();
      if (next.done === true) return false;
      this.#keys = keysOf(next.value);
      this.#stored = storedPages(next.value);
      this.#index = 0;
    }
    return true;
  }

  /** The page as it is stored, where no delta layer changed it. */
  storedBlob(): Uint8Array | undefined {
    const page = this.#stored[this.#index];
    return page?.changes.length === 0 ? page.blob : undefined;
  }

  async makeBlob(): Promise<Uint8Array> {
    const [key, page] = [this.#keys[this.#index], this.#stored[this.#index]];
    if (key === undefined || page === undefined) throw new RangeError('no page is at hand');
    return this.#pages.makeBlob(key, page);
  }

  async close(): Promise<void> {
    await this.#batches.return(undefined);
  }
}

function keysOf({ runs, blockNumbers }: PageBatch): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const { tag, pageStart, pageEnd } of runs) {
    const first = relBlockKey(tag, 0);
    for (let i = pageStart; i < pageEnd; i += 1) {
      const key = Uint8Array.from(first);
      new DataView(key.buffer).setUint32(KEY_PREFIX_SIZE, blockNumbers[i] ?? 0);
      keys.push(key);
    }
  }
  return keys;
}

/** Values that are no pages, read in groups. */
class OtherValues {
  readonly #options: LiveValuesOptions;
  readonly #wanted: Generator<Uint8Array, void>;
  #values: { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[] = [];

  constructor(keys: readonly LiveKeys[], options: LiveValuesOptions) {
    this.#options = options;
    this.#wanted = otherKeys(keys);
  }

  /** The next ones, in the order of the keys that were given. */
  async *take({ count }: LiveKeys): AsyncGenerator<StoredValue> {
    for (let i = 0; i < count; i += 1) {
      if (this.#values.length === 0) await this.#read();
      const next = this.#values.shift();
      if (next?.value === undefined) throw missing(next?.key ?? new Uint8Array(0));
      yield { key: next.key, blob: this.#options.compressor.encodeBlob(next.value) };
    }
  }

  async #read(): Promise<void> {
    const keys: Uint8Array[] = [];
    while (keys.length < GROUP_KEYS) {
      const next = this.#wanted.next();
      if (next.done === true) break;
      keys.push(next.value);
    }
    const { view, signal } = this.#options;
    const values = await view.getMany(keys, { signal });
    this.#values = keys.map((key, i) => ({ key, value: values[i] }));
  }
}

function* otherKeys(keys: readonly LiveKeys[]): Generator<Uint8Array, void> {
  for (const { key, count, tag } of keys) {
    for (let i = 0; tag === undefined && i < count; i += 1) yield keyBehind(key, i);
  }
}

function missing(key: Uint8Array) {
  return invalidState(`${describeKey(key)} is not in the layers, so no image layer can be made there`);
}

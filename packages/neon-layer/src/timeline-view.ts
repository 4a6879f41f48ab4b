import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { BlockCache } from './block-cache.ts';
import { blobAt, type FetchedUnit, fetchUnit, nameValue } from './fetch-unit.ts';
import { compareKeys, isSparseKey, KEY_SIZE, nextKey } from './key.ts';
import { decodeChain, type KeyChain } from './key-chain.ts';
import type { KeyRange } from './key-range.ts';
import type { KeyFilter } from './key-unit.ts';
import { NeonLayerError } from './layer-error.ts';
import type { ReadOptions } from './layer-file.ts';
import { OpenLayers } from './open-layers.ts';
import { batchesOf, type PageBatch } from './page-batch.ts';
import { createPageDecompressor, type PageDecompressor } from './page-decompressor.ts';
import { planUnits } from './plan-units.ts';
import { prefetch } from './prefetch.ts';
import { planSegments, planSteps, type ReadSegment } from './read-steps.ts';
import type { RedoFunction } from './redo.ts';
import { type ResolveOptions, resolveChanges } from './resolve-changes.ts';
import { isLocalKey, type Sharding } from './shard.ts';
import type { KeyValue, PageReadOptions, TimelineReader } from './timeline-reader.ts';
import {
  firstReadableLsn,
  type LoadTimelineOptions,
  loadManifest,
  loadTimeline,
  type TimelineSource,
} from './timeline-source.ts';
import { valueSizeMax } from './value-limit.ts';
import { WantedKeys } from './wanted-keys.ts';

/** Stored bytes that are fetched ahead by one scan. */
export const READ_AHEAD_BYTES_DEFAULT: number = 8 * 1024 * 1024;

export interface TimelineViewOptions {
  /** Between the GC cutoff and `disk_consistent_lsn`, which is the default. */
  readonly lsn?: Lsn | undefined;
  /** Garbage collection left this LSN alone, since it was pinned: it may lie below the GC cutoff. */
  readonly pinned?: boolean | undefined;
  /** Makes states from WAL records; without one, a key that needs it is `NEON_LAYER_NEEDS_REDO`. */
  readonly redo?: RedoFunction | undefined;
  /** Memory for index blocks; default 16 MiB. */
  readonly cacheBytes?: number | undefined;
  /** Default {@link READ_AHEAD_BYTES_DEFAULT}. */
  readonly readAheadBytes?: number | undefined;
  /** Of a sharded tenant whose manifest does not say it: blocks that stay together. */
  readonly stripeSize?: number | undefined;
}

/** What views of one timeline at different LSNs share. */
interface SharedParts {
  readonly layers: OpenLayers;
  readonly decompressor: PageDecompressor;
  readonly sharding: Sharding | undefined;
  readonly options: TimelineViewOptions;
}

/** Opens the newest state of a timeline in a storage, or an older one. Reads indexes only. */
export async function openTimelineView(
  storage: Storage,
  options: LoadTimelineOptions & TimelineViewOptions,
): Promise<TimelineView> {
  return TimelineView.open(storage, await loadTimeline(storage, options), options);
}

/**
 * A timeline at one LSN, over delta and image layers and ancestors. Of a sharded tenant it is what one shard has. Any number
 * of reads may go on at once.
 */
export class TimelineView implements TimelineReader {
  readonly source: TimelineSource;
  readonly lsn: Lsn;
  readonly #shared: SharedParts;

  /** Opens a timeline that was loaded. Throws `NEON_LAYER_LSN_OUT_OF_RANGE`. */
  static async open(
    storage: Storage,
    source: TimelineSource,
    options: TimelineViewOptions & ReadOptions = {},
  ): Promise<TimelineView> {
    const cache = new BlockCache(
      options.cacheBytes === undefined ? {} : { sizeMaxBytes: options.cacheBytes },
    );
    const layers = new OpenLayers({ storage, tenantId: source.tenant.tenantId, cache });
    const sharding = await shardingOf(storage, source, options);
    const shared = { layers, decompressor: createPageDecompressor(), sharding, options };
    const lsn = options.lsn ?? source.index.metadata.diskConsistentLsn;
    checkLsn(source, lsn, options.pinned ?? false);
    return new TimelineView(source, lsn, shared);
  }

  private constructor(source: TimelineSource, lsn: Lsn, shared: SharedParts) {
    this.source = source;
    this.lsn = lsn;
    this.#shared = shared;
  }

  /** Blocks that stay together on a shard; 0 where the tenant is in one piece. */
  get stripeSize(): number {
    return this.#shared.sharding?.stripeSize ?? 0;
  }

  /** The same timeline at another LSN; caches are shared. Throws `NEON_LAYER_LSN_OUT_OF_RANGE`. */
  at(lsn: Lsn, { pinned = false }: Pick<TimelineViewOptions, 'pinned'> = {}): TimelineView {
    checkLsn(this.source, lsn, pinned);
    return new TimelineView(this.source, lsn, this.#shared);
  }

  /** The same timeline when other layers are listed, at its newest LSN; caches are shared. */
  withSource(source: TimelineSource): TimelineView {
    return new TimelineView(source, source.index.metadata.diskConsistentLsn, this.#shared);
  }

  async get(key: Uint8Array, options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    const fetched = await this.#fetchKey(key, options);
    const [entry] = fetched === undefined ? [] : await this.#decode(fetched, options);
    return entry?.value;
  }

  async chain(key: Uint8Array, options: ReadOptions = {}): Promise<KeyChain | undefined> {
    const fetched = await this.#fetchKey(key, options);
    return fetched === undefined ? undefined : decodeChain(fetched, this.#shared.decompressor);
  }

  async getMany(
    keys: readonly Uint8Array[],
    options: ReadOptions = {},
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const [first, last] = [keys[0], keys.at(-1)];
    if (first === undefined || last === undefined) return [];
    const wanted = new WantedKeys(keys);
    const isLocal = this.#wanted();
    const units = this.#fetch(
      { start: first, end: nextKey(last) },
      {
        filter: (bytes, offset) => isLocal(bytes, offset) && wanted.take(bytes, offset),
        wanted,
        signal: options.signal,
      },
    );
    const values: (Uint8Array | undefined)[] = [];
    for await (const fetched of units) {
      for (const { key, value } of await this.#decode(fetched, options)) {
        while (compareKeys(keys[values.length] ?? key, key) < 0) values.push(undefined);
        values.push(value);
      }
    }
    while (values.length < keys.length) values.push(undefined);
    return values;
  }

  async *scan(range: KeyRange, options: ReadOptions = {}): AsyncGenerator<readonly KeyValue[]> {
    for await (const fetched of this.#fetch(range, { filter: this.#wanted(), signal: options.signal })) {
      const entries = await this.#decode(fetched, options);
      if (entries.length > 0) yield entries;
    }
  }

  async *readPages(range: KeyRange, options: PageReadOptions = {}): AsyncGenerator<PageBatch> {
    const { memory = (sizeBytes) => new Uint8Array(sizeBytes) } = options;
    const wanted = this.#wanted();
    const filter: KeyFilter = (keys, offset) => isPage(keys, offset) && wanted(keys, offset);
    for await (const fetched of this.#fetch(range, { filter, signal: options.signal }))
      yield* batchesOf(fetched, memory);
  }

  close(): void {
    this.#shared.decompressor.close();
  }

  async #fetchKey(key: Uint8Array, options: ReadOptions): Promise<FetchedUnit | undefined> {
    const steps = planSteps(this.source, key, this.lsn);
    if (steps.length === 0) return undefined;
    const segment = { range: { start: key, end: nextKey(key) }, steps };
    const plan = { ...this.#planOptions(options), filter: this.#wanted(), keysMax: 1 };
    for await (const unit of planUnits([segment], plan)) return await fetchUnit(unit, options);
    return undefined;
  }

  #fetch(range: KeyRange, selection: Selection): AsyncGenerator<FetchedUnit> {
    const { filter, wanted, signal } = selection;
    const segments = planSegments(this.source, range, this.lsn);
    const plan = { ...this.#planOptions({ signal }), filter };
    const units =
      wanted === undefined
        ? planUnits(segments, plan)
        : planUnits(segmentsWith(segments, wanted), { ...plan, seek: () => wanted.next });
    return prefetch(units, {
      fetch: (unit, unitSignal) => fetchUnit(unit, { signal: unitSignal }),
      sizeOf: (unit) => unit.storedBytes,
      sizeMax: this.#shared.options.readAheadBytes ?? READ_AHEAD_BYTES_DEFAULT,
      signal,
    });
  }

  #planOptions({ signal }: ReadOptions): {
    readonly layers: OpenLayers;
    readonly signal?: AbortSignal | undefined;
  } {
    return { layers: this.#shared.layers, signal };
  }

  #resolveOptions({ signal }: ReadOptions): ResolveOptions {
    const { decompressor, options } = this.#shared;
    return { lsn: this.lsn, redo: options.redo, decompressor, signal };
  }

  async #decode(fetched: FetchedUnit, options: ReadOptions): Promise<readonly KeyValue[]> {
    const { unit } = fetched;
    const values = await resolveChanges(fetched, this.#resolveOptions(options));
    const entries: KeyValue[] = [];
    for (let i = 0; i < unit.count; i += 1) {
      const key = unit.keys.slice(i * KEY_SIZE, (i + 1) * KEY_SIZE);
      const value = values.get(i) ?? this.#decodeImage(fetched, i, key);
      if (value.length > 0 || !isSparseKey(key)) entries.push({ key, value });
    }
    return entries;
  }

  #decodeImage(fetched: FetchedUnit, index: number, key: Uint8Array): Uint8Array {
    try {
      const blob = blobAt(fetched, index);
      return this.#shared.decompressor.decodeBlob(blob, { sizeMaxBytes: valueSizeMax(key) });
    } catch (error) {
      throw nameValue(error, fetched, index);
    }
  }

  /** In a sharded tenant, layers from before the split hold the pages of other shards too. */
  #wanted(): KeyFilter {
    const { sharding } = this.#shared;
    if (sharding === undefined) return () => true;
    return (keys, offset) => isLocalKey(keys.subarray(offset, offset + KEY_SIZE), sharding);
  }
}

/** Which keys of a range a read is about. */
interface Selection {
  readonly filter: KeyFilter;
  /** Where only these are. */
  readonly wanted?: WantedKeys;
  readonly signal: AbortSignal | undefined;
}

function* segmentsWith(segments: Iterable<ReadSegment>, wanted: WantedKeys): Generator<ReadSegment> {
  for (const segment of segments) if (wanted.hasAnyIn(segment.range)) yield segment;
}

/** True for a relation block at `offset`: kind 0, a relation, and not its size. */
function isPage(keys: Uint8Array, offset: number): boolean {
  if (keys[offset] !== 0) return false;
  const isRelation =
    keys[offset + 9] !== 0 || keys[offset + 10] !== 0 || keys[offset + 11] !== 0 || keys[offset + 12] !== 0;
  const isSize =
    keys[offset + 14] === 0xff &&
    keys[offset + 15] === 0xff &&
    keys[offset + 16] === 0xff &&
    keys[offset + 17] === 0xff;
  return isRelation && !isSize;
}

async function shardingOf(
  storage: Storage,
  source: TimelineSource,
  options: TimelineViewOptions & ReadOptions,
): Promise<Sharding | undefined> {
  const { shard } = source.tenant;
  if (shard.count <= 1) return undefined;
  const manifest =
    options.stripeSize === undefined ? await loadManifest(storage, source.tenant, options) : undefined;
  const stripeSize = options.stripeSize ?? manifest?.stripeSize;
  if (stripeSize !== undefined && stripeSize > 0) return { ...shard, stripeSize };
  throw new NeonLayerError({
    code: 'NEON_LAYER_UNSUPPORTED',
    operation: 'open',
    message:
      'The tenant is sharded and its manifest does not say the stripe size, so its pages cannot be told apart.',
  });
}

function checkLsn(source: TimelineSource, lsn: Lsn, isPinned: boolean): void {
  const { diskConsistentLsn } = source.index.metadata;
  const lsnMin = firstReadableLsn(source);
  if ((isPinned || lsn >= lsnMin) && lsn <= diskConsistentLsn) return;
  const { timelineId } = source;
  throw new NeonLayerError({
    code: 'NEON_LAYER_LSN_OUT_OF_RANGE',
    operation: 'open',
    message:
      `The timeline ${timelineId} can be read from ${formatLsn(lsnMin)} to ` +
      `${formatLsn(diskConsistentLsn)}; asked for was ${formatLsn(lsn)}.`,
    context: {
      timelineId,
      lsn: formatLsn(lsn),
      lsnMin: formatLsn(lsnMin),
      lsnMax: formatLsn(diskConsistentLsn),
    },
  });
}

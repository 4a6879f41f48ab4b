import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { BLOCK_CACHE_BYTES_DEFAULT } from './block-cache.ts';
import type { TenantShardId } from './identifiers.ts';
import { relBlockKey } from './key.ts';
import type { KeyChain } from './key-chain.ts';
import { isRelationBlockKey } from './key-kind.ts';
import type { KeyRange } from './key-range.ts';
import { NeonLayerError } from './layer-error.ts';
import type { ReadOptions } from './layer-file.ts';
import { mergeStreams } from './merge-streams.ts';
import { type PageBatch, slicePages } from './page-batch.ts';
import { shardOfKey } from './shard.ts';
import type { KeyValue, PageReadOptions, TimelineReader } from './timeline-reader.ts';
import type { TimelineSource } from './timeline-source.ts';
import {
  openTimelineView,
  READ_AHEAD_BYTES_DEFAULT,
  type TimelineView,
  type TimelineViewOptions,
} from './timeline-view.ts';

const CACHE_BYTES_MIN = 2 * 1024 * 1024;
const READ_AHEAD_BYTES_MIN = 1024 * 1024;

export interface ShardedViewOptions extends TimelineViewOptions, ReadOptions {
  /** All shards of the tenant, by number; or the one of a tenant in one piece. */
  readonly shards: readonly TenantShardId[];
  readonly timelineId: string;
}

/**
 * Opens a timeline over all shards of its tenant. Without an LSN it is the one that every shard has reached. Memory for
 * index blocks and read-ahead is divided among the shards.
 */
export async function openShardedView(
  storage: Storage,
  options: ShardedViewOptions,
): Promise<TimelineReader> {
  const { shards, timelineId, cacheBytes, readAheadBytes } = options;
  assertComplete(shards);
  const share = (total: number, least: number) => Math.max(Math.floor(total / shards.length), least);
  const own = {
    ...options,
    cacheBytes: share(cacheBytes ?? BLOCK_CACHE_BYTES_DEFAULT, CACHE_BYTES_MIN),
    readAheadBytes: share(readAheadBytes ?? READ_AHEAD_BYTES_DEFAULT, READ_AHEAD_BYTES_MIN),
  };
  const views: TimelineView[] = [];
  for (const tenant of shards) views.push(await openTimelineView(storage, { ...own, tenant, timelineId }));
  const end = views.toSorted((a, b) => (a.lsn < b.lsn ? -1 : 1))[0]?.lsn;
  const [first, ...others] = views.map((view) =>
    end === undefined || view.lsn === end ? view : view.at(end),
  );
  if (first === undefined) throw new Error('a timeline was opened without shards');
  return others.length === 0 ? first : new ShardedView([first, ...others]);
}

/** Relation blocks come from the shard that has them, everything else from the first. */
class ShardedView implements TimelineReader {
  readonly source: TimelineSource;
  readonly lsn: Lsn;
  readonly #views: readonly TimelineView[];
  readonly #stripeSize: number;

  constructor(views: readonly [TimelineView, ...TimelineView[]]) {
    this.source = views[0].source;
    this.lsn = views[0].lsn;
    this.#views = views;
    this.#stripeSize = views[0].stripeSize;
  }

  async get(key: Uint8Array, options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    return this.#views[this.#shardOf(key)]?.get(key, options);
  }

  async chain(key: Uint8Array, options: ReadOptions = {}): Promise<KeyChain | undefined> {
    return this.#views[this.#shardOf(key)]?.chain(key, options);
  }

  async getMany(
    keys: readonly Uint8Array[],
    options: ReadOptions = {},
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const values: (Uint8Array | undefined)[] = Array.from({ length: keys.length });
    const byShard = Map.groupBy(keys.keys(), (index) => this.#shardOf(keys[index] ?? new Uint8Array()));
    const reads = [...byShard].map(async ([shard, indexes]) => {
      const own = indexes.map((index) => keys[index] ?? new Uint8Array());
      const found = await this.#views[shard]?.getMany(own, options);
      for (const [i, index] of indexes.entries()) values[index] = found?.[i];
    });
    await Promise.all(reads);
    return values;
  }

  async *scan(range: KeyRange, options: ReadOptions = {}): AsyncGenerator<readonly KeyValue[]> {
    // Relation blocks have the first keys of all.
    const views = (range.start[0] ?? 0) > 0 ? this.#views.slice(0, 1) : this.#views;
    const streams = views.map((view, shard) => this.#ownEntries(view.scan(range, options), shard));
    const merged = mergeStreams(streams, {
      countOf: (entries) => entries.length,
      keyAt: (entries, index) => entries[index]?.key ?? new Uint8Array(),
    });
    for await (const { item, from, to } of merged) yield item.slice(from, to);
  }

  async *readPages(range: KeyRange, options: PageReadOptions = {}): AsyncGenerator<PageBatch> {
    const { memory = (sizeBytes) => new Uint8Array(sizeBytes), signal } = options;
    const streams = this.#views.map((view) => view.readPages(range, { signal }));
    const merged = mergeStreams(streams, { countOf: ({ pageCount }) => pageCount, keyAt: pageKey });
    for await (const { item, from, to } of merged) yield slicePages(item, { from, to, memory });
  }

  close(): void {
    for (const view of this.#views) view.close();
  }

  #shardOf(key: Uint8Array): number {
    return shardOfKey(key, { count: this.#views.length, stripeSize: this.#stripeSize });
  }

  /** Sizes, directories and the like are on every shard; the first one's count. */
  async *#ownEntries(
    groups: AsyncIterable<readonly KeyValue[]>,
    shard: number,
  ): AsyncGenerator<readonly KeyValue[]> {
    for await (const group of groups) {
      const own = shard === 0 ? group : group.filter(({ key }) => isRelationBlockKey(key));
      if (own.length > 0) yield own;
    }
  }
}

function pageKey({ runs, blockNumbers }: PageBatch, index: number): Uint8Array {
  const run = runs.find(({ pageEnd }) => index < pageEnd);
  if (run === undefined) throw new Error(`a batch of ${blockNumbers.length} pages has no page ${index}`);
  return relBlockKey(run.tag, blockNumbers[index] ?? 0);
}

function assertComplete(shards: readonly TenantShardId[]): void {
  const isComplete = shards.every(
    ({ shard }, number) => shard.number === number && Math.max(shard.count, 1) === shards.length,
  );
  if (isComplete && shards.length > 0) return;
  throw new NeonLayerError({
    code: 'NEON_LAYER_INVALID_ARGUMENT',
    operation: 'open',
    message: `A timeline is read from all shards of its tenant, in the order of their numbers; got ${shards.length}.`,
  });
}

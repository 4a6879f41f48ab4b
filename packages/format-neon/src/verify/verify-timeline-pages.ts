import {
  FormatError,
  type StockRedo,
  type VerifyCollector,
  type VerifyContext,
} from '@neon-snapshot/format-core';
import { openShardedView, type RedoFunction, type TimelineReader } from '@neon-snapshot/neon-layer';
import { openTimeline } from '@neon-snapshot/neon-timeline';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ReadOptions } from '../options.ts';
import { StockFallback } from '../stock/stock-fallback.ts';
import { createCountedRedo } from './counted-redo.ts';
import { StockComparison } from './stock-comparison.ts';
import type { ReadableTimeline } from './verify-objects.ts';
import { verifyPages } from './verify-pages.ts';

export interface TimelinePages {
  /** One timeline as each shard of its tenant has it, as far as its index can be read. */
  readonly shards: readonly ReadableTimeline[];
  readonly options: ReadOptions;
  readonly collector: VerifyCollector;
  /** Whether the raw WAL behind the layers belongs to it. */
  readonly readsTail: boolean;
}

/** Looks at every page of a timeline, of all its shards; where it is asked for, Postgres makes those from WAL too. */
export async function verifyTimelinePages(context: VerifyContext, pages: TimelinePages): Promise<void> {
  const { collector } = pages;
  const shards = pages.shards.toSorted((a, b) => a.tenant.shard.number - b.tenant.shard.number);
  const [first] = shards;
  if (first === undefined || !areComplete(shards, collector)) return;
  const { postgresMajor } = first.newest.content.metadata;
  await using fallback = new StockFallback({ services: context.services, postgresMajor });
  await using stock = await openStock(context, postgresMajor);
  const comparison = stock === undefined ? undefined : new StockComparison(stock, collector);
  const redo = createCountedRedo({ postgresMajor, collector, fallback: fallback.redo, comparison });
  const { storage, signal, onProgress } = context;
  const view = await openPages(storage, { ...pages, first, shards, redo: redo.redo, signal });
  try {
    await verifyPages(view, { redo, postgresMajor, collector, onProgress, signal });
    await comparison?.finish(signal);
  } finally {
    view.close();
  }
  if (fallback.recordCount > 0) collector.count('fallbackRecords', fallback.recordCount);
}

async function openPages(
  storage: Storage,
  of: TimelinePages & {
    readonly first: ReadableTimeline;
    readonly redo: RedoFunction;
    readonly signal: AbortSignal | undefined;
  },
): Promise<TimelineReader> {
  const { first, shards, readsTail, redo, signal } = of;
  const { timelineId, tenant, newest } = first;
  const { lsn, stripeSize } = of.options;
  if (shards.length > 1) {
    const tenants = shards.map((shard) => shard.tenant);
    return openShardedView(storage, { shards: tenants, timelineId, lsn, stripeSize, redo, signal });
  }
  const upTo = readsTail ? lsn : newest.content.metadata.diskConsistentLsn;
  return openTimeline(storage, { tenant, timelineId, lsn, upTo, redo, signal });
}

/** Pages of a shard that cannot be read would all be missing. */
function areComplete(shards: readonly ReadableTimeline[], collector: VerifyCollector): boolean {
  const [first] = shards;
  const count = Math.max(first?.tenant.shard.count ?? 0, 1);
  if (first === undefined || shards.length === count) return true;
  const there = new Set(shards.map(({ tenant }) => tenant.shard.number));
  const missing = Array.from({ length: count }, (_, number) => number).filter((number) => !there.has(number));
  collector.error({
    code: 'SHARD_MISSING',
    path: first.newest.key,
    message: `timeline ${first.timelineId} has no readable index on shard ${missing.join(', ')} of ${count}; its pages are not looked at`,
  });
  return false;
}

async function openStock(
  { comparesRedo, services, signal }: VerifyContext,
  postgresMajor: number,
): Promise<StockRedo | undefined> {
  if (comparesRedo !== true) return undefined;
  if (services.openStockRedo !== undefined) return services.openStockRedo({ postgresMajor, signal });
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'verify',
    message: 'pages cannot be compared with those of stock Postgres: there is none here',
  });
}

import {
  type IndexPart,
  lastSegment,
  parseIndexName,
  parseIndexPart,
  type TenantShardId,
  timelinePrefix,
} from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { type CatalogOptions, listTenantShards, listTimelineIds } from './tenant-tree.ts';

/**
 * What a timeline is good for: `ready` has an index; `archived` and `deleting` have one that says so; `incomplete` has objects
 * and no index, as an interrupted import leaves them: nobody sees those layers.
 */
export type TimelineState = 'ready' | 'archived' | 'deleting' | 'incomplete';

/** One timeline of a bucket. Its end is a snapshot. */
export interface TimelineListing {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly state: TimelineState;
  /** Shards that have objects; 0 where the tenant is not sharded. */
  readonly shardCount: number;
  /** Facts of the newest index (of the first shard); absent where there is none. */
  readonly index?: TimelineIndexFacts;
}

export interface TimelineIndexFacts {
  /** Absent: from before generations. */
  readonly generation?: number;
  readonly postgresMajor: number;
  /** The end of the timeline: the LSN of its newest snapshot. */
  readonly diskConsistentLsn: Lsn;
  /** Reads below it are refused. */
  readonly gcCutoffLsn: Lsn;
  readonly ancestorTimelineId?: string;
  readonly ancestorLsn: Lsn;
  /** Sums over all shards. */
  readonly layerCount: number;
  readonly layerBytes: number;
}

/** As much as neon-layer parses. */
const INDEX_BYTES_MAX = 256 * 1024 * 1024;

/** Every timeline of one tenant, or of all. Reads one index per timeline and shard. */
export async function listTimelines(
  storage: Storage,
  options: CatalogOptions & { readonly tenantId?: string | undefined } = {},
): Promise<readonly TimelineListing[]> {
  const byTimeline = new Map<string, ShardTimeline[]>();
  for (const shard of await listTenantShards(storage, options)) {
    for (const timelineId of await listTimelineIds(storage, shard, options)) {
      const key = `${shard.tenantId}/${timelineId}`;
      const found = await readNewestIndex(storage, { shard, timelineId }, options);
      byTimeline.set(key, [...(byTimeline.get(key) ?? []), { shard, timelineId, ...found }]);
    }
  }
  return [...byTimeline.values()].map(summarize);
}

/** Ids of the tenants that hold at least one timeline with an index. Reads no index. */
export async function listTenantIds(
  storage: Storage,
  options: CatalogOptions = {},
): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const shard of await listTenantShards(storage, options)) {
    if (found.has(shard.tenantId)) continue;
    for (const timelineId of await listTimelineIds(storage, shard, options)) {
      const names = await indexObjects(storage, { shard, timelineId }, options);
      if (names.length === 0) continue;
      found.add(shard.tenantId);
      break;
    }
  }
  return [...found];
}

interface TimelinePlace {
  readonly shard: TenantShardId;
  readonly timelineId: string;
}

interface NewestIndex {
  readonly index?: IndexPart;
  readonly generation?: number;
}

type ShardTimeline = TimelinePlace & NewestIndex;

interface IndexObject {
  readonly key: string;
  readonly generation: number | undefined;
}

async function indexObjects(
  storage: Storage,
  { shard, timelineId }: TimelinePlace,
  { signal }: CatalogOptions,
): Promise<readonly IndexObject[]> {
  const found: IndexObject[] = [];
  const prefix = `${timelinePrefix(shard, timelineId)}index_part.json`;
  for await (const page of storage.list({ prefix, signal })) {
    for (const { key } of page.objects) {
      const generation = parseIndexName(lastSegment(key));
      if (generation !== null) found.push({ key, generation });
    }
  }
  return found;
}

async function readNewestIndex(
  storage: Storage,
  place: TimelinePlace,
  options: CatalogOptions,
): Promise<NewestIndex> {
  const objects = await indexObjects(storage, place, options);
  // One without generation is older than any with.
  const newest = objects.toSorted((a, b) => (b.generation ?? -1) - (a.generation ?? -1))[0];
  if (newest === undefined) return {};
  const { body } = await storage.get(newest.key, { signal: options.signal });
  const index = parseIndexPart(await readAll(body, { sizeMaxBytes: INDEX_BYTES_MAX, key: newest.key }));
  return { index, ...(newest.generation === undefined ? {} : { generation: newest.generation }) };
}

function summarize(shards: readonly ShardTimeline[]): TimelineListing {
  const [first] = shards;
  if (first === undefined) throw new Error('a timeline without shards cannot be listed');
  const place = {
    tenantId: first.shard.tenantId,
    timelineId: first.timelineId,
    shardCount: first.shard.shard.count === 0 ? 0 : shards.length,
  };
  const indexes = shards.flatMap(({ index }) => (index === undefined ? [] : [index]));
  const withIndex = shards.find((shard) => shard.index !== undefined);
  if (withIndex?.index === undefined || indexes.length < shards.length)
    return { ...place, state: 'incomplete' };
  return {
    ...place,
    state: stateOf(withIndex.index),
    index: { ...indexFacts(withIndex.index, withIndex.generation), ...sumLayers(indexes) },
  };
}

function stateOf(index: IndexPart): TimelineState {
  if (index.deletedAt !== undefined) return 'deleting';
  return index.archivedAt === undefined ? 'ready' : 'archived';
}

function indexFacts(
  index: IndexPart,
  generation: number | undefined,
): Omit<TimelineIndexFacts, 'layerCount' | 'layerBytes'> {
  const { metadata } = index;
  return {
    ...(generation === undefined ? {} : { generation }),
    postgresMajor: metadata.postgresMajor,
    diskConsistentLsn: index.diskConsistentLsn,
    gcCutoffLsn: metadata.latestGcCutoffLsn,
    ...(metadata.ancestorTimelineId === undefined ? {} : { ancestorTimelineId: metadata.ancestorTimelineId }),
    ancestorLsn: metadata.ancestorLsn,
  };
}

function sumLayers(indexes: readonly IndexPart[]): Pick<TimelineIndexFacts, 'layerCount' | 'layerBytes'> {
  let layerCount = 0;
  let layerBytes = 0;
  for (const index of indexes) {
    layerCount += index.layers.size;
    for (const layer of index.layers.values()) layerBytes += layer.fileSize;
  }
  return { layerCount, layerBytes };
}

import {
  formatShardIndex,
  type IndexPart,
  lastSegment,
  parseIndexName,
  readIndex,
  type TenantShardId,
  timelinePrefix,
} from '@neon-snapshot/neon-layer';
import { readTailEnd } from '@neon-snapshot/neon-timeline';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
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
  /** Shards that the timeline is read from; 0 where the tenant is not sharded. */
  readonly shardCount: number;
  /** Those shards, by number. Where an index is missing: all that have objects. */
  readonly shards: readonly TenantShardId[];
  /** Facts of the newest indexes; absent where one is missing. */
  readonly index?: TimelineIndexFacts;
}

export interface TimelineIndexFacts {
  /** Absent: from before generations. */
  readonly generation?: number;
  readonly postgresMajor: number;
  /** The end of the layers, which all shards have reached. */
  readonly diskConsistentLsn: Lsn;
  /** The end of the timeline: the LSN of its newest snapshot, raw WAL behind the layers included. */
  readonly endLsn: Lsn;
  /** Reads below it are refused: the greatest of the shards. */
  readonly gcCutoffLsn: Lsn;
  readonly ancestorTimelineId?: string;
  readonly ancestorLsn: Lsn;
  /** Sums over all shards; a layer that several list counts once. */
  readonly layerCount: number;
  readonly layerBytes: number;
}

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
  /** Where raw WAL goes on from the layers: its end. */
  readonly tailEnd?: Lsn;
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
  const index = await readIndex(storage, newest.key, options.signal);
  const { generation } = newest;
  const tailEnd = await tailEndOf(storage, { place, index, generation }, options);
  return {
    index,
    ...(generation === undefined ? {} : { generation }),
    ...(tailEnd === undefined ? {} : { tailEnd }),
  };
}

/** Only timelines in one piece have raw WAL. */
async function tailEndOf(
  storage: Storage,
  of: {
    readonly place: TimelinePlace;
    readonly index: IndexPart;
    readonly generation: number | undefined;
  },
  { signal }: CatalogOptions,
): Promise<Lsn | undefined> {
  const { place, index, generation } = of;
  const { tenantId, shard } = place.shard;
  if (shard.count > 1) return undefined;
  const { diskConsistentLsn, prevRecordLsn } = index.metadata;
  const layers = { diskConsistentLsn, prevRecordLsn, generation };
  return readTailEnd(storage, { tenantId, timelineId: place.timelineId, layers, signal });
}

function summarize(shards: readonly ShardTimeline[]): TimelineListing {
  const [first] = shards;
  if (first === undefined) throw new Error('a timeline without shards cannot be listed');
  const { tenantId } = first.shard;
  const chosen = chooseShards(shards);
  if (chosen === undefined) {
    const tenants = shards.map(({ shard }) => shard);
    const isSharded = tenants.some(({ shard }) => shard.count > 0);
    const shardCount = isSharded ? tenants.length : 0;
    return { tenantId, timelineId: first.timelineId, shardCount, shards: tenants, state: 'incomplete' };
  }
  const [lead] = chosen;
  return {
    tenantId,
    timelineId: first.timelineId,
    shardCount: lead.shard.shard.count === 0 ? 0 : chosen.length,
    shards: chosen.map(({ shard }) => shard),
    state: stateOf(lead.index),
    index: summarizeIndexes(chosen),
  };
}

type IndexedShard = ShardTimeline & { readonly index: IndexPart };

/**
 * A split leaves the objects of the shards from before it in place, and one that was given up those of the shards it made. Of the
 * sets with an index on every shard the one counts whose end is furthest, and where they are equal the one with more shards.
 */
function chooseShards(
  shards: readonly ShardTimeline[],
): readonly [IndexedShard, ...IndexedShard[]] | undefined {
  const complete = [...Map.groupBy(shards, ({ shard }) => shard.shard.count)].flatMap(([count, members]) => {
    const [first, ...others] = members
      .filter((member): member is IndexedShard => member.index !== undefined)
      .sort((a, b) => a.shard.shard.number - b.shard.shard.number);
    const isComplete = first !== undefined && others.length + 1 === Math.max(count, 1);
    return isComplete ? [{ count, members: [first, ...others] as const }] : [];
  });
  complete.sort((a, b) => compareLsns(endOf(b.members), endOf(a.members)) || b.count - a.count);
  return complete[0]?.members;
}

function compareLsns(a: Lsn, b: Lsn): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function endOf(shards: readonly [IndexedShard, ...IndexedShard[]]): Lsn {
  const ends = shards.map(({ index }) => index.diskConsistentLsn).sort(compareLsns);
  return ends[0] ?? shards[0].index.diskConsistentLsn;
}

function stateOf(index: IndexPart): TimelineState {
  if (index.deletedAt !== undefined) return 'deleting';
  return index.archivedAt === undefined ? 'ready' : 'archived';
}

function summarizeIndexes(shards: readonly [IndexedShard, ...IndexedShard[]]): TimelineIndexFacts {
  const [{ index, generation, tailEnd }] = shards;
  const { metadata } = index;
  const cutoffs = shards.map((shard) => shard.index.metadata.latestGcCutoffLsn).sort(compareLsns);
  return {
    ...(generation === undefined ? {} : { generation }),
    postgresMajor: metadata.postgresMajor,
    diskConsistentLsn: endOf(shards),
    endLsn: tailEnd ?? endOf(shards),
    gcCutoffLsn: cutoffs.at(-1) ?? metadata.latestGcCutoffLsn,
    ...(metadata.ancestorTimelineId === undefined ? {} : { ancestorTimelineId: metadata.ancestorTimelineId }),
    ancestorLsn: metadata.ancestorLsn,
    ...sumLayers(shards),
  };
}

function sumLayers(shards: readonly IndexedShard[]): Pick<TimelineIndexFacts, 'layerCount' | 'layerBytes'> {
  const sizes = new Map<string, number>();
  for (const { index } of shards) {
    for (const [name, { shard, generation, fileSize }] of index.layers) {
      const place = shard === undefined ? '' : formatShardIndex(shard);
      sizes.set(`${place} ${name} ${generation}`, fileSize);
    }
  }
  const layerBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { layerCount: sizes.size, layerBytes };
}

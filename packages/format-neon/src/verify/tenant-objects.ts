/** What lies below a tenant, and what the newest index of each timeline says should lie there. */
import {
  type IndexPart,
  isNeonLayerError,
  lastSegment,
  layerObjectKey,
  parseIndexName,
  parseLayerName,
  readIndex,
  type StoredLayer,
  type TenantShardId,
  tenantPrefix,
  timelinePrefix,
} from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import { listTenantShards } from '../catalog/tenant-tree.ts';

export interface TenantObjects {
  readonly tenantId: string;
  /** Size of every object of all shards, by key. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly timelines: readonly StoredTimeline[];
}

/** A timeline of one shard. */
export interface StoredTimeline {
  readonly tenant: TenantShardId;
  readonly timelineId: string;
  /** Ends with `/`. */
  readonly prefix: string;
  /** Every object there. */
  readonly keys: readonly string[];
  /** False for one of a shard that was split: its layers are there for the newer shards only. */
  readonly isCurrent: boolean;
  /** Absent where there is no index. */
  readonly newest?: StoredIndex;
}

export interface StoredIndex {
  readonly key: string;
  readonly generation: number | undefined;
  /** A text says why it cannot be read. */
  readonly content: IndexPart | { readonly fault: string };
  readonly layers: readonly StoredLayer[];
}

interface ObjectsOptions {
  readonly tenantId: string;
  readonly signal?: AbortSignal | undefined;
}

/** Lists a tenant and reads the newest index of each of its timelines. Memory grows with the number of objects. */
export async function readTenantObjects(storage: Storage, options: ObjectsOptions): Promise<TenantObjects> {
  const { tenantId, signal } = options;
  const shards = await listTenantShards(storage, options);
  const countMax = Math.max(...shards.map(({ shard }) => shard.count));
  const sizes = new Map<string, number>();
  const timelines: StoredTimeline[] = [];
  for (const tenant of shards) {
    const own = new Map<string, string[]>();
    for await (const { objects } of storage.list({ prefix: tenantPrefix(tenant), signal })) {
      for (const { key, sizeBytes } of objects) {
        sizes.set(key, sizeBytes);
        const timelineId = /\/timelines\/([0-9a-f]{32})\/[^/]+$/.exec(key)?.[1];
        if (timelineId === undefined) continue;
        const keys = own.get(timelineId);
        if (keys === undefined) own.set(timelineId, [key]);
        else keys.push(key);
      }
    }
    for (const [timelineId, keys] of own) {
      const newest = await readNewestIndex(storage, { tenant, timelineId, keys, signal });
      timelines.push({
        tenant,
        timelineId,
        prefix: timelinePrefix(tenant, timelineId),
        keys,
        isCurrent: tenant.shard.count === countMax,
        ...(newest === undefined ? {} : { newest }),
      });
    }
  }
  return { tenantId, sizes, timelines };
}

interface NewestOptions {
  readonly tenant: TenantShardId;
  readonly timelineId: string;
  readonly keys: readonly string[];
  readonly signal: AbortSignal | undefined;
}

async function readNewestIndex(storage: Storage, options: NewestOptions): Promise<StoredIndex | undefined> {
  const { tenant, timelineId, keys, signal } = options;
  const indexes = keys.flatMap((key) => {
    const generation = parseIndexName(lastSegment(key));
    return generation === null ? [] : [{ key, generation }];
  });
  const newest = indexes.toSorted((a, b) => (b.generation ?? -1) - (a.generation ?? -1))[0];
  if (newest === undefined) return undefined;
  try {
    const content = await readIndex(storage, newest.key, signal);
    return { ...newest, content, layers: layersOf(content, { tenantId: tenant.tenantId, timelineId }) };
  } catch (error) {
    if (!isNeonLayerError(error)) throw error;
    return { ...newest, content: { fault: error.message }, layers: [] };
  }
}

function layersOf(
  index: IndexPart,
  place: { readonly tenantId: string; readonly timelineId: string },
): StoredLayer[] {
  return [...index.layers].map(([name, { fileSize, generation, shard }]) => ({
    desc: parseLayerName(name),
    name,
    objectKey: layerObjectKey({ ...place, layerName: name, shard, generation }),
    sizeBytes: fileSize,
  }));
}

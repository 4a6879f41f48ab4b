import type { Lsn } from '@neon-snapshot/postgres';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { formatTenantShardId, type TenantShardId, UNSHARDED } from './identifiers.ts';
import { INDEX_BYTES_MAX, type IndexPart, parseIndexPart } from './index-part.ts';
import { isNeonLayerError, NeonLayerError } from './layer-error.ts';
import { LayerMap } from './layer-map.ts';
import { type LayerDesc, parseLayerName } from './layer-name.ts';
import { layerObjectKey } from './remote-path.ts';
import { listIndexes, listManifests } from './storage-listing.ts';
import { MANIFEST_BYTES_MAX, parseTenantManifest, type TenantManifest } from './tenant-manifest.ts';

/** A layer that an index lists. */
export interface StoredLayer {
  readonly desc: LayerDesc;
  /** As in the index. */
  readonly name: string;
  readonly objectKey: string;
  readonly sizeBytes: number;
}

/** A timeline as its newest index describes it, with its ancestors. Nothing of the layers themselves was read. */
export interface TimelineSource {
  readonly tenant: TenantShardId;
  readonly timelineId: string;
  /** Of the index that was taken: the highest present. */
  readonly generation: number | undefined;
  readonly index: IndexPart;
  /** Without layers "from the future", as a page server drops them when it attaches. */
  readonly layers: LayerMap<StoredLayer>;
  readonly ancestor: { readonly source: TimelineSource; readonly lsn: Lsn } | undefined;
}

export interface LoadTimelineOptions {
  /** 32 lower-case hex digits, or which shard of a tenant. */
  readonly tenant: TenantShardId | string;
  readonly timelineId: string;
  readonly signal?: AbortSignal | undefined;
}

/** Ancestors of a timeline at most: deeper chains are refused. */
const ANCESTORS_MAX = 1000;

/** Reads the newest index of a timeline and of its ancestors. Throws `NEON_LAYER_NOT_FOUND`, `NEON_LAYER_INVALID_INDEX`. */
export async function loadTimeline(storage: Storage, options: LoadTimelineOptions): Promise<TimelineSource> {
  const { signal } = options;
  const tenant =
    typeof options.tenant === 'string' ? { tenantId: options.tenant, shard: UNSHARDED } : options.tenant;
  const chain: Omit<TimelineSource, 'ancestor'>[] = [];
  const seen = new Set<string>();
  for (let id: string | undefined = options.timelineId; id !== undefined; ) {
    if (seen.has(id) || seen.size > ANCESTORS_MAX) throw endlessAncestry(tenant, id);
    seen.add(id);
    const own = await loadOwn(storage, { tenant, timelineId: id, signal });
    chain.push(own);
    id = own.index.metadata.ancestorTimelineId;
  }
  const root = chain.reduceRight<TimelineSource | undefined>((ancestor, own, i) => {
    const lsn = chain[i]?.index.metadata.ancestorLsn;
    return {
      ...own,
      ancestor: ancestor === undefined || lsn === undefined ? undefined : { source: ancestor, lsn },
    };
  }, undefined);
  if (root === undefined) throw notFound(tenant, options.timelineId);
  return root;
}

/**
 * Where the timeline can be read from: its GC cutoff. Of a branch, what lies before its branch point is the ancestor's, of which garbage
 * collection may have left the branch point only.
 */
export function firstReadableLsn({ index, ancestor }: TimelineSource): Lsn {
  const { latestGcCutoffLsn } = index.metadata;
  if (ancestor === undefined || latestGcCutoffLsn >= ancestor.lsn) return latestGcCutoffLsn;
  const ofAncestor = firstReadableLsn(ancestor.source);
  if (ofAncestor > ancestor.lsn) return ancestor.lsn;
  if (ofAncestor > latestGcCutoffLsn) return ofAncestor;
  return latestGcCutoffLsn;
}

/** The newest manifest of a tenant, or undefined where there is none. */
export async function loadManifest(
  storage: Storage,
  tenant: TenantShardId,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<TenantManifest | undefined> {
  const newest = (await listManifests(storage, tenant, options)).at(-1);
  if (newest === undefined) return undefined;
  const { body } = await storage.get(newest.key, { signal: options.signal });
  return parseTenantManifest(await readAll(body, { sizeMaxBytes: MANIFEST_BYTES_MAX }));
}

async function loadOwn(
  storage: Storage,
  options: LoadTimelineOptions & { readonly tenant: TenantShardId },
): Promise<Omit<TimelineSource, 'ancestor'>> {
  const { tenant, timelineId, signal } = options;
  const newest = (await listIndexes(storage, tenant, timelineId, { signal })).at(-1);
  if (newest === undefined) throw notFound(tenant, timelineId);
  const index = await readIndex(storage, newest.key, signal);
  const layers = [...index.layers].map(([name, { fileSize, generation, shard }]) => ({
    desc: parseLayerName(name),
    name,
    objectKey: layerObjectKey({ tenantId: tenant.tenantId, timelineId, layerName: name, shard, generation }),
    sizeBytes: fileSize,
  }));
  const end = index.metadata.diskConsistentLsn;
  const present = layers.filter(({ desc }) => desc.lsnEnd <= end + 1n);
  return { tenant, timelineId, generation: newest.generation, index, layers: new LayerMap(present) };
}

/** Reads an `index_part.json`. The error of one that does not decode names key and storage. */
export async function readIndex(
  storage: Storage,
  key: string,
  signal?: AbortSignal | undefined,
): Promise<IndexPart> {
  const { body } = await storage.get(key, { signal });
  const bytes = await readAll(body, { sizeMaxBytes: INDEX_BYTES_MAX, key });
  try {
    return parseIndexPart(bytes);
  } catch (error) {
    if (!isNeonLayerError(error)) throw error;
    throw new NeonLayerError({
      code: error.code,
      operation: error.operation,
      message: `${key} in ${storage.url}: ${error.message}`,
      context: { ...error.context, index: key },
      cause: error,
    });
  }
}

function notFound(tenant: TenantShardId, timelineId: string): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_NOT_FOUND',
    operation: 'open',
    message: `The timeline ${timelineId} of tenant ${formatTenantShardId(tenant)} has no index in this storage.`,
    context: { tenant: formatTenantShardId(tenant), timelineId },
  });
}

function endlessAncestry(tenant: TenantShardId, timelineId: string): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_INVALID_INDEX',
    operation: 'open',
    message: `The ancestors of timeline ${timelineId} of tenant ${formatTenantShardId(tenant)} do not end.`,
    context: { tenant: formatTenantShardId(tenant), timelineId },
  });
}

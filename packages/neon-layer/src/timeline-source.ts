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

/** A timeline as its newest index describes it, whatever it was made from. */
export type OwnTimeline = Omit<TimelineSource, 'ancestor'>;

/** Reads the newest index of a timeline and of its ancestors. Throws `NEON_LAYER_NOT_FOUND`, `NEON_LAYER_INVALID_INDEX`. */
export async function loadTimeline(storage: Storage, options: LoadTimelineOptions): Promise<TimelineSource> {
  const known = new Map<string, OwnTimeline>();
  const first = await loadOwnTimeline(storage, options);
  if (first === undefined) throw notFound(tenantOf(options), options.timelineId);
  for (let own: OwnTimeline | undefined = first; own !== undefined; ) {
    known.set(own.timelineId, own);
    const timelineId: string | undefined = own.index.metadata.ancestorTimelineId;
    if (timelineId === undefined || known.has(timelineId) || known.size > ANCESTORS_MAX) break;
    own = await loadOwnTimeline(storage, { ...options, timelineId });
  }
  return withAncestors(first, known);
}

/** Reads the newest index of one timeline alone; undefined where it has none. Throws `NEON_LAYER_INVALID_INDEX`. */
export async function loadOwnTimeline(
  storage: Storage,
  options: LoadTimelineOptions,
): Promise<OwnTimeline | undefined> {
  const { timelineId, signal } = options;
  const tenant = tenantOf(options);
  const newest = (await listIndexes(storage, tenant, timelineId, { signal })).at(-1);
  if (newest === undefined) return undefined;
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

/**
 * A timeline with its ancestors, which are among `known`. Throws `NEON_LAYER_NOT_FOUND` where one is not, `NEON_LAYER_INVALID_INDEX`
 * where they do not end.
 */
export function withAncestors(
  timeline: OwnTimeline,
  known: ReadonlyMap<string, OwnTimeline>,
): TimelineSource {
  const { tenant } = timeline;
  const chain = [timeline];
  const seen = new Set([timeline.timelineId]);
  for (let id = timeline.index.metadata.ancestorTimelineId; id !== undefined; ) {
    if (seen.has(id) || seen.size > ANCESTORS_MAX) throw endlessAncestry(tenant, id);
    seen.add(id);
    const own = known.get(id);
    if (own === undefined) throw notFound(tenant, id);
    chain.push(own);
    id = own.index.metadata.ancestorTimelineId;
  }
  let source: TimelineSource = { ...(chain.pop() ?? timeline), ancestor: undefined };
  for (const own of chain.reverse())
    source = { ...own, ancestor: { source, lsn: own.index.metadata.ancestorLsn } };
  return source;
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

function tenantOf({ tenant }: LoadTimelineOptions): TenantShardId {
  return typeof tenant === 'string' ? { tenantId: tenant, shard: UNSHARDED } : tenant;
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

import {
  formatGenerationSuffix,
  formatTenantShardId,
  invalidName,
  parseGeneration,
  parseId,
  type ShardIndex,
  type TenantShardId,
} from './identifiers.ts';

/*
 * Keys of a tenant's objects, relative to the location that was opened:
 *   tenants/<tenant>[-NNCC]/tenant-manifest-<gen8hex>.json
 *   tenants/<tenant>[-NNCC]/timelines/<timeline>/index_part.json-<gen8hex>
 *   tenants/<tenant>[-NNCC]/timelines/<timeline>/<layer name>-<gen8hex>     (shard and generation of the layer's index entry)
 *   tenants/<tenant>/timelines/<timeline>/initdb.tar.zst                    (no shard, no generation)
 */

/** Prefix of all tenants. */
export const TENANTS_PREFIX = 'tenants/';
const INDEX_NAME = 'index_part.json';

/** `tenants/<tenant shard>/`. */
export function tenantPrefix(tenant: TenantShardId): string {
  return `${TENANTS_PREFIX}${formatTenantShardId(tenant)}/`;
}

/** `tenants/<tenant shard>/timelines/`. */
export function timelinesPrefix(tenant: TenantShardId): string {
  return `${tenantPrefix(tenant)}timelines/`;
}

/** `tenants/<tenant shard>/timelines/<timeline>/`. */
export function timelinePrefix(tenant: TenantShardId, timelineId: string): string {
  return `${timelinesPrefix(tenant)}${parseId(timelineId)}/`;
}

export interface LayerObjectOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  /** As in the index: no suffix. */
  readonly layerName: string;
  /** Of the layer's index entry; absent: not sharded. */
  readonly shard?: ShardIndex | undefined;
  /** Of the layer's index entry; absent: from before generations. */
  readonly generation?: number | undefined;
}

/** Where a layer of an index lies. */
export function layerObjectKey(options: LayerObjectOptions): string {
  const shard = options.shard ?? { number: 0, count: 0 };
  // An index writes `NNCC` only for sharded tenants, so a count of 0 has no suffix here too.
  const prefix = timelinePrefix({ tenantId: options.tenantId, shard }, options.timelineId);
  return `${prefix}${options.layerName}${formatGenerationSuffix(options.generation)}`;
}

export interface IndexObjectOptions {
  readonly tenant: TenantShardId;
  readonly timelineId: string;
  readonly generation?: number | undefined;
}

/** Where the index of a generation lies. */
export function indexObjectKey({ tenant, timelineId, generation }: IndexObjectOptions): string {
  return `${timelinePrefix(tenant, timelineId)}${INDEX_NAME}${formatGenerationSuffix(generation)}`;
}

/** Prefix of all indexes of a timeline. */
export function indexObjectPrefix(tenant: TenantShardId, timelineId: string): string {
  return `${timelinePrefix(tenant, timelineId)}${INDEX_NAME}`;
}

/** Where the manifest of a generation lies. */
export function manifestObjectKey(tenant: TenantShardId, generation: number): string {
  return `${tenantPrefix(tenant)}tenant-manifest${formatGenerationSuffix(generation)}.json`;
}

/** Where the archive of the initial data directory lies: never sharded, no generation. */
export function initdbObjectKey(tenantId: string, timelineId: string): string {
  return `${timelinePrefix({ tenantId, shard: { number: 0, count: 0 } }, timelineId)}initdb.tar.zst`;
}

/**
 * Generation of an index by the last segment of its key: `undefined` for one without (it comes before generation 0),
 * `null` for a name that is no index.
 */
export function parseIndexName(fileName: string): number | undefined | null {
  if (fileName === INDEX_NAME) return undefined;
  if (!fileName.startsWith(`${INDEX_NAME}-`)) return null;
  return parseGeneration(fileName.slice(INDEX_NAME.length + 1)) ?? null;
}

/** Generation of a manifest by the last segment of its key, `null` for a name that is no manifest. */
export function parseManifestName(fileName: string): number | null {
  const digits = /^tenant-manifest-([0-9a-fA-F]{8})\.json$/.exec(fileName)?.[1];
  return digits === undefined ? null : Number.parseInt(digits, 16);
}

/** Last segment of an object key, or of a folded prefix without its final `/`. */
export function lastSegment(key: string): string {
  const trimmed = key.endsWith('/') ? key.slice(0, -1) : key;
  const name = trimmed.slice(trimmed.lastIndexOf('/') + 1);
  if (name === '') throw invalidName('An object key has a last segment', key);
  return name;
}

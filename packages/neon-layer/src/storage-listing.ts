import type { Storage } from '@neon-snapshot/storage-core';
import { parseId, parseTenantShardId, type TenantShardId } from './identifiers.ts';
import {
  indexObjectPrefix,
  lastSegment,
  parseIndexName,
  parseManifestName,
  TENANTS_PREFIX,
  tenantPrefix,
  timelinesPrefix,
} from './remote-path.ts';

export interface ListingOptions {
  readonly signal?: AbortSignal | undefined;
}

/** An index or manifest that is present. */
export interface GenerationObject {
  readonly key: string;
  /** Absent for indexes from before generations. */
  readonly generation: number | undefined;
  readonly sizeBytes: number;
}

/** Tenants (shards are several) whose directory exists, in order of their name. Foreign names are left out. */
export async function listTenants(
  storage: Storage,
  options: ListingOptions = {},
): Promise<readonly TenantShardId[]> {
  const names = await listFolders(storage, TENANTS_PREFIX, options);
  return names.flatMap((name) => attempt(() => parseTenantShardId(name)));
}

/** Ids of timelines whose directory exists; one without an index is an interrupted import or a relic. */
export async function listTimelines(
  storage: Storage,
  tenant: TenantShardId,
  options: ListingOptions = {},
): Promise<readonly string[]> {
  const names = await listFolders(storage, timelinesPrefix(tenant), options);
  return names.flatMap((name) => attempt(() => parseId(name)));
}

/** Indexes of a timeline, the newest generation last. */
export async function listIndexes(
  storage: Storage,
  tenant: TenantShardId,
  timelineId: string,
  options: ListingOptions = {},
): Promise<readonly GenerationObject[]> {
  const found: GenerationObject[] = [];
  const prefix = indexObjectPrefix(tenant, timelineId);
  for await (const { objects } of storage.list({ prefix, signal: options.signal })) {
    for (const { key, sizeBytes } of objects) {
      const generation = parseIndexName(lastSegment(key));
      if (generation !== null) found.push({ key, generation, sizeBytes });
    }
  }
  return found.sort((a, b) => (a.generation ?? -1) - (b.generation ?? -1));
}

/** Manifests of a tenant, the newest generation last. */
export async function listManifests(
  storage: Storage,
  tenant: TenantShardId,
  options: ListingOptions = {},
): Promise<readonly GenerationObject[]> {
  const found: GenerationObject[] = [];
  const prefix = `${tenantPrefix(tenant)}tenant-manifest`;
  for await (const { objects } of storage.list({ prefix, signal: options.signal })) {
    for (const { key, sizeBytes } of objects) {
      const generation = parseManifestName(lastSegment(key));
      if (generation !== null) found.push({ key, generation, sizeBytes });
    }
  }
  return found.sort((a, b) => (a.generation ?? -1) - (b.generation ?? -1));
}

async function listFolders(
  storage: Storage,
  prefix: string,
  options: ListingOptions,
): Promise<readonly string[]> {
  const names = new Set<string>();
  for await (const { prefixes } of storage.list({ prefix, delimiter: '/', signal: options.signal })) {
    for (const folder of prefixes) names.add(lastSegment(folder));
  }
  return [...names].sort();
}

/** What parses; foreign names in a listing are no error. */
function attempt<T>(parse: () => T): readonly T[] {
  try {
    return [parse()];
  } catch {
    return [];
  }
}

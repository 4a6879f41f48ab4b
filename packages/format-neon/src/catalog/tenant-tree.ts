import {
  lastSegment,
  parseTenantShardId,
  TENANTS_PREFIX,
  type TenantShardId,
  timelinesPrefix,
} from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';

export interface CatalogOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Shards of every tenant that has objects; names that are no tenant are left out. In key order. */
export async function listTenantShards(
  storage: Storage,
  options: CatalogOptions & { readonly tenantId?: string | undefined },
): Promise<readonly TenantShardId[]> {
  const prefix = `${TENANTS_PREFIX}${options.tenantId ?? ''}`;
  const names = await prefixesBelow(storage, prefix, options.signal);
  return names.flatMap((name) => {
    const shard = tenantShardOf(lastSegment(name));
    return shard === undefined ? [] : [shard];
  });
}

/** Ids of the timelines that a tenant shard has objects of, with or without an index. In key order. */
export async function listTimelineIds(
  storage: Storage,
  shard: TenantShardId,
  options: CatalogOptions,
): Promise<readonly string[]> {
  const names = await prefixesBelow(storage, timelinesPrefix(shard), options.signal);
  return names.map(lastSegment).filter((name) => /^[0-9a-f]{32}$/.test(name));
}

async function prefixesBelow(
  storage: Storage,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const page of storage.list({ prefix, delimiter: '/', signal })) found.push(...page.prefixes);
  return found;
}

function tenantShardOf(name: string): TenantShardId | undefined {
  // Other directories may lie there; what is no tenant is not ours to judge.
  return /^[0-9a-f]{32}(-[0-9a-f]{4})?$/.test(name) ? parseTenantShardId(name) : undefined;
}

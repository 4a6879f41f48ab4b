import { lastSegment, TENANTS_PREFIX } from '@neon-snapshot/neon-layer';
import type { ListPage, Storage } from '@neon-snapshot/storage-core';

export interface FoundTimeline {
  /** As in the object key: with `-NNCC` for a shard. */
  readonly tenantId: string;
  readonly timelineId: string;
}

/**
 * The first timeline that has an `index_part.json`, of one tenant (all its shards) or of any. Layers without an index are an
 * interrupted import and count for nothing.
 */
export async function findTimeline(
  storage: Storage,
  options: { readonly tenantId?: string | undefined; readonly signal?: AbortSignal | undefined },
): Promise<FoundTimeline | undefined> {
  const { signal } = options;
  for await (const tenant of prefixesBelow(storage, `${TENANTS_PREFIX}${options.tenantId ?? ''}`, signal)) {
    for await (const timeline of prefixesBelow(storage, `${tenant}timelines/`, signal)) {
      if (await hasObject(storage, `${timeline}index_part.json`, signal)) {
        return { tenantId: lastSegment(tenant), timelineId: lastSegment(timeline) };
      }
    }
  }
  return undefined;
}

async function* prefixesBelow(
  storage: Storage,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  for await (const page of storage.list({ prefix, delimiter: '/', signal })) yield* page.prefixes;
}

async function hasObject(
  storage: Storage,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for await (const page of storage.list({ prefix, signal })) if (hasAny(page)) return true;
  return false;
}

function hasAny(page: ListPage): boolean {
  return page.objects.length > 0;
}

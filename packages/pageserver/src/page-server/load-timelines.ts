import {
  isNeonLayerError,
  listTimelines,
  loadTimeline,
  type TimelineSource,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import { inParallel } from './in-parallel.ts';

const LOADS_MAX = 8;

export interface LoadTimelinesOptions {
  readonly tenantId: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The newest index of every timeline of a tenant, ancestors before their branches. Those without an index are interrupted imports, those whose
 * deletion has begun are as good as gone: both are left out.
 */
export async function loadTimelines(
  storage: Storage,
  { tenantId, signal }: LoadTimelinesOptions,
): Promise<readonly TimelineSource[]> {
  const tenant = { tenantId, shard: UNSHARDED };
  const ids = await listTimelines(storage, tenant, { signal });
  const loaded = await inParallel(ids, LOADS_MAX, async (timelineId) => {
    try {
      return await loadTimeline(storage, { tenant, timelineId, signal });
    } catch (error) {
      if (isNeonLayerError(error) && error.code === 'NEON_LAYER_NOT_FOUND') return undefined;
      throw error;
    }
  });
  const present = loaded.filter(
    (source): source is TimelineSource => source !== undefined && source.index.deletedAt === undefined,
  );
  return present.sort((a, b) => depthOf(a) - depthOf(b));
}

function depthOf({ ancestor }: TimelineSource): number {
  return ancestor === undefined ? 0 : 1 + depthOf(ancestor.source);
}

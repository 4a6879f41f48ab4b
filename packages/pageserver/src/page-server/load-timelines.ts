import {
  isNeonLayerError,
  listTimelines,
  loadOwnTimeline,
  type OwnTimeline,
  type TimelineSource,
  UNSHARDED,
  withAncestors,
} from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import { inParallel } from './in-parallel.ts';

const LOADS_MAX = 8;

export interface LoadTimelinesOptions {
  readonly tenantId: string;
  readonly signal?: AbortSignal | undefined;
}

/** The newest index of every timeline of a tenant, each read once. Those without one are interrupted imports, and left out. */
export async function loadTimelines(
  storage: Storage,
  { tenantId, signal }: LoadTimelinesOptions,
): Promise<readonly OwnTimeline[]> {
  const tenant = { tenantId, shard: UNSHARDED };
  const ids = await listTimelines(storage, tenant, { signal });
  const loaded = await inParallel(ids, LOADS_MAX, (timelineId) =>
    loadOwnTimeline(storage, { tenant, timelineId, signal }),
  );
  return loaded.filter((timeline) => timeline !== undefined);
}

/**
 * Those that can be served, ancestors before their branches. Timelines whose deletion has begun are as good as gone, and so are branches of
 * what is gone.
 */
export function servedTimelines(timelines: readonly OwnTimeline[]): readonly TimelineSource[] {
  const known = new Map(timelines.map((timeline) => [timeline.timelineId, timeline]));
  const present = timelines.flatMap((timeline) => {
    if (timeline.index.deletedAt !== undefined) return [];
    try {
      return [withAncestors(timeline, known)];
    } catch (error) {
      if (isNeonLayerError(error, 'NEON_LAYER_NOT_FOUND')) return [];
      throw error;
    }
  });
  return present.sort((a, b) => depthOf(a) - depthOf(b));
}

function depthOf({ ancestor }: TimelineSource): number {
  return ancestor === undefined ? 0 : 1 + depthOf(ancestor.source);
}

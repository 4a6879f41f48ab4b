import { listIndexes, listTimelines, loadTimeline, UNSHARDED } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { PinnedLsn, TimelineAncestry } from './retained-points.ts';

/** A timeline as its newest index has it. */
export interface ListedTimeline extends TimelineAncestry {
  readonly diskConsistentLsn: Lsn;
  readonly isArchived: boolean;
  /** Its deletion has begun. */
  readonly isDeleted: boolean;
}

/** Every timeline of a tenant that has an index, also archived ones. Fails when one cannot be read: it may keep others' layers. */
export async function listedTimelines(
  storage: Storage,
  tenantId: string,
  { signal }: CallOptions = {},
): Promise<readonly ListedTimeline[]> {
  const tenant = { tenantId, shard: UNSHARDED };
  const found: ListedTimeline[] = [];
  for (const timelineId of await listTimelines(storage, tenant, { signal })) {
    // A folder without an index is an interrupted import.
    if ((await listIndexes(storage, tenant, timelineId, { signal })).length === 0) continue;
    const source = await loadTimeline(storage, { tenant, timelineId, signal });
    const { ancestorTimelineId, ancestorLsn, diskConsistentLsn } = source.index.metadata;
    found.push({
      timelineId,
      ancestor:
        ancestorTimelineId === undefined ? undefined : { timelineId: ancestorTimelineId, lsn: ancestorLsn },
      diskConsistentLsn,
      isArchived: source.index.archivedAt !== undefined,
      isDeleted: source.index.deletedAt !== undefined,
    });
  }
  return found;
}

/** The LSNs that snapshots pin. Fails when one cannot be read. */
export async function snapshotPins(
  storage: Storage,
  tenantId: string,
  options: CallOptions = {},
): Promise<readonly PinnedLsn[]> {
  const { snapshots } = openRefs({ storage, tenantId });
  const named = await snapshots.list(options);
  return named.map((each) => ({ timelineId: each.timelineId, lsn: lsn(each.lsn) }));
}

import type { OwnTimeline } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { loadTimelines } from '../page-server/load-timelines.ts';
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
  return (await loadTimelines(storage, { tenantId, signal })).map(listedTimeline);
}

export function listedTimeline({ timelineId, index }: OwnTimeline): ListedTimeline {
  const { ancestorTimelineId, ancestorLsn, diskConsistentLsn } = index.metadata;
  return {
    timelineId,
    ancestor:
      ancestorTimelineId === undefined ? undefined : { timelineId: ancestorTimelineId, lsn: ancestorLsn },
    diskConsistentLsn,
    isArchived: index.archivedAt !== undefined,
    isDeleted: index.deletedAt !== undefined,
  };
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

import type { Lsn } from '@neon-snapshot/postgres';

/** A timeline of the tenant, as far as its ancestry goes. */
export interface TimelineAncestry {
  readonly timelineId: string;
  readonly ancestor: { readonly timelineId: string; readonly lsn: Lsn } | undefined;
}

/** An LSN of a timeline that stays readable. */
export interface PinnedLsn {
  readonly timelineId: string;
  readonly lsn: Lsn;
}

/**
 * LSNs at which a timeline is read whatever its GC cutoff is: where branches left it, directly or by way of others, and what is pinned by
 * name or lease in it or in those branches.
 */
export function retainedPoints(
  timelineId: string,
  timelines: readonly TimelineAncestry[],
  pinned: readonly PinnedLsn[],
): readonly Lsn[] {
  const ends = timelines.map((each) => ({ timelineId: each.timelineId, lsn: undefined }));
  return pointsOf(timelineId, timelines, [...ends, ...pinned]);
}

/** Those that are pinned by name or lease, in the timeline or in what was made from it. */
export function pinnedPoints(
  timelineId: string,
  timelines: readonly TimelineAncestry[],
  pinned: readonly PinnedLsn[],
): readonly Lsn[] {
  return pointsOf(timelineId, timelines, pinned);
}

/** Where readers come through a timeline who begin at the end or at an LSN of another one. */
function pointsOf(
  timelineId: string,
  timelines: readonly TimelineAncestry[],
  readers: readonly { readonly timelineId: string; readonly lsn: Lsn | undefined }[],
): readonly Lsn[] {
  const ancestorOf = new Map(timelines.map((each) => [each.timelineId, each.ancestor]));
  const points = new Set<Lsn>();
  for (const reader of readers) {
    let { lsn } = reader;
    const seen = new Set<string>();
    for (let id: string | undefined = reader.timelineId; id !== undefined && !seen.has(id); ) {
      seen.add(id);
      if (id === timelineId && lsn !== undefined) points.add(lsn);
      const ancestor = ancestorOf.get(id);
      if (ancestor !== undefined && (lsn === undefined || ancestor.lsn < lsn)) lsn = ancestor.lsn;
      id = ancestor?.timelineId;
    }
  }
  return [...points].sort((a, b) => (a < b ? -1 : 1));
}

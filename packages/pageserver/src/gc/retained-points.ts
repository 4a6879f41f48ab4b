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
  const ancestorOf = new Map(timelines.map((each) => [each.timelineId, each.ancestor]));
  const points = new Set<Lsn>();
  const walk = (from: string, start: Lsn | undefined) => {
    let lsn = start;
    const seen = new Set<string>();
    for (let id: string | undefined = from; id !== undefined && !seen.has(id); ) {
      seen.add(id);
      if (id === timelineId && lsn !== undefined) points.add(lsn);
      const ancestor = ancestorOf.get(id);
      if (ancestor !== undefined && (lsn === undefined || ancestor.lsn < lsn)) lsn = ancestor.lsn;
      id = ancestor?.timelineId;
    }
  };
  for (const each of timelines) walk(each.timelineId, undefined);
  for (const each of pinned) walk(each.timelineId, each.lsn);
  return [...points].sort((a, b) => (a < b ? -1 : 1));
}

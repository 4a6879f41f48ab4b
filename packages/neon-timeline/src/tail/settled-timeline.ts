import { type LoadTimelineOptions, loadTimeline, type TimelineSource } from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import { loadTail, type Tail } from './load-tail.ts';

/** A writer that pushes faster than an index is read leaves a reader behind; never seen more than twice. */
const LOADS_MAX = 20;

/** An index and the raw WAL that goes on from it. */
export interface SettledTimeline {
  readonly source: TimelineSource;
  readonly tail: Tail | undefined;
}

/**
 * Reads a timeline's index and its raw WAL while others may write. They are read one after the other: where a push came between, chunks
 * seem to be missing, and both are read again, until the index is still the one that it was. What was acknowledged before is in the result.
 * The timelines of shards have no raw WAL.
 */
export async function loadSettledTimeline(
  storage: Storage,
  options: LoadTimelineOptions,
): Promise<SettledTimeline> {
  let source = await loadTimeline(storage, options);
  if (source.tenant.shard.count > 1) return { source, tail: undefined };
  for (let left = LOADS_MAX; ; left--) {
    const { timelineId, signal } = options;
    const tail = await loadTail(storage, { tenantId: source.tenant.tenantId, timelineId, source, signal });
    if (tail !== undefined && !tail.hasGap) return { source, tail };
    const again = await loadTimeline(storage, options);
    if (left <= 1 || isSameEnd(again, source)) return { source, tail };
    source = again;
  }
}

function isSameEnd(a: TimelineSource, b: TimelineSource): boolean {
  return (
    a.generation === b.generation && a.index.metadata.diskConsistentLsn === b.index.metadata.diskConsistentLsn
  );
}

import type { VerifyCollector } from '@neon-snapshot/format-core';
import { isNeonLayerError, loadTimeline, type TimelineSource } from '@neon-snapshot/neon-layer';
import { checkTail } from '@neon-snapshot/neon-timeline';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ReadableTimeline } from './verify-objects.ts';

export interface TailVerification {
  readonly collector: VerifyCollector;
  /** Else the names of its objects are looked at only. */
  readonly readsRecords: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Looks at the raw WAL behind a timeline's layers. Returns false where it cannot be read to its end. */
export async function verifyTail(
  storage: Storage,
  timeline: ReadableTimeline,
  { collector, readsRecords, signal }: TailVerification,
): Promise<boolean> {
  const source = await sourceOf(storage, timeline, signal);
  const tail = source && (await checkTail(storage, { source, readsRecords, signal }));
  if (tail === undefined) return true;
  const { key, fault, hasGap, sizeBytes, recordCount } = tail;
  collector.count('tailBytes', sizeBytes);
  if (recordCount > 0) collector.count('walRecords', recordCount);
  if (hasGap) {
    collector.warning({
      code: 'TAIL_GAP',
      path: key,
      message: `raw WAL of timeline ${timeline.timelineId} is missing between objects beside ${key}; what lies behind it does not count`,
    });
  }
  if (fault === undefined) return true;
  collector.error({
    code: 'TAIL_INVALID',
    path: key,
    message: `raw WAL of timeline ${timeline.timelineId} cannot be read to its end: ${fault.message}`,
  });
  return false;
}

/** Undefined where an ancestor cannot be read: that was found before. */
async function sourceOf(
  storage: Storage,
  { tenant, timelineId }: ReadableTimeline,
  signal: AbortSignal | undefined,
): Promise<TimelineSource | undefined> {
  try {
    return await loadTimeline(storage, { tenant, timelineId, signal });
  } catch (error) {
    if (isNeonLayerError(error)) return undefined;
    throw error;
  }
}

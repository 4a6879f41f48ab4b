import { firstReadableLsn, TimelineView, type TimelineViewOptions } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { createValueRedo } from '../redo/value-redo.ts';
import {
  type LoadTimelineWithTailOptions,
  loadTimelineWithTail,
  type TimelineWithTail,
} from './load-timeline-with-tail.ts';
import { ReloadingTimeline } from './reloading-timeline.ts';

export interface OpenTimelineOptions extends LoadTimelineWithTailOptions, TimelineViewOptions {
  /** What was loaded already; default: it is loaded. */
  readonly loaded?: TimelineWithTail | undefined;
  /** Asked where the LSN lies before the first that any timeline's reader may read: whether garbage collection leaves it alone. */
  readonly isPinned?: ((lsn: Lsn) => Promise<boolean>) | undefined;
}

/**
 * Opens a timeline, without an LSN at the end of its raw tail, to be read while a page server goes on with it: see
 * {@link ReloadingTimeline}. Redo is that of the timeline's major unless another is given.
 */
export async function openTimeline(
  storage: Storage,
  options: OpenTimelineOptions,
): Promise<ReloadingTimeline> {
  const loaded = options.loaded ?? (await loadTimelineWithTail(storage, options));
  const view = await viewOf(loaded, options);
  return new ReloadingTimeline({
    view,
    reopen: async () => {
      const again = { ...options, lsn: view.lsn };
      return viewOf(await loadTimelineWithTail(storage, { ...again, upTo: view.lsn }), again);
    },
  });
}

async function viewOf(
  { storage, source }: TimelineWithTail,
  options: OpenTimelineOptions,
): Promise<TimelineView> {
  const { redo = createValueRedo(source.index.metadata.postgresMajor), lsn, isPinned } = options;
  const isCollected = lsn !== undefined && lsn < firstReadableLsn(source);
  // The index is older than the answer: what it lists was still kept for the LSN.
  const pinned = isCollected && isPinned !== undefined ? await isPinned(lsn) : options.pinned;
  return TimelineView.open(storage, source, { ...options, pinned, redo });
}

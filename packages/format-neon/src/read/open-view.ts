import { openShardedView, type TimelineReader } from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ReadOptions } from '../options.ts';
import { findLsnAt } from '../time/find-lsn-at.ts';
import type { ChosenTimeline } from './choose-timeline.ts';

export interface ViewRequest {
  readonly options: ReadOptions;
  readonly chosen: ChosenTimeline;
  readonly signal: AbortSignal | undefined;
}

/** The timeline at the LSN or time of the options, over all shards, with redo. */
export async function openView(storage: Storage, of: ViewRequest): Promise<TimelineReader> {
  const { options, chosen, signal } = of;
  const { shards, timelineId, index } = chosen;
  const { stripeSize } = options;
  const redo = createValueRedo(index.postgresMajor);
  const lsn = await lsnOf(storage, of);
  return openShardedView(storage, { shards, timelineId, lsn, stripeSize, redo, signal });
}

async function lsnOf(storage: Storage, of: ViewRequest): Promise<Lsn | undefined> {
  const { options, chosen, signal } = of;
  const [tenant] = chosen.shards;
  if (options.time === undefined || tenant === undefined) return options.lsn;
  const { diskConsistentLsn: end, gcCutoffLsn } = chosen.index;
  const { timelineId } = chosen;
  return findLsnAt(storage, { tenant, timelineId, gcCutoffLsn, end, time: options.time, signal });
}

import {
  loadTimeline,
  openShardedView,
  type TenantShardId,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import { createValueRedo, loadTimelineWithTail, openTimeline } from '@neon-snapshot/neon-timeline';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ReadOptions } from '../options.ts';
import { findLsnAt } from '../time/find-lsn-at.ts';
import type { ChosenTimeline } from './choose-timeline.ts';
import { isPinned } from './named-snapshots.ts';

export interface ViewRequest {
  readonly options: ReadOptions;
  readonly chosen: ChosenTimeline;
  readonly signal: AbortSignal | undefined;
}

/**
 * The timeline at the LSN or time of the options, with redo: over all shards, or of a tenant in one piece up to the end of its raw WAL,
 * which a page server may go on with meanwhile.
 */
export async function openView(storage: Storage, of: ViewRequest): Promise<TimelineReader> {
  const [tenant, ...others] = of.chosen.shards;
  if (tenant === undefined) throw new Error('a timeline was chosen that has no shards');
  return others.length === 0 ? openWhole(storage, { ...of, tenant }) : openShards(storage, { ...of, tenant });
}

interface ShardRequest extends ViewRequest {
  /** The only or the first one. */
  readonly tenant: TenantShardId;
}

async function openWhole(storage: Storage, of: ShardRequest): Promise<TimelineReader> {
  const { options, chosen, tenant, signal } = of;
  const { timelineId } = chosen;
  const redo = createValueRedo(chosen.index.postgresMajor);
  // An endpoint goes on from the end and nowhere else, so that it has to be known.
  const upTo = options.timeLineIdMode === 'continue' ? undefined : chosen.lsn;
  const loaded = await loadTimelineWithTail(storage, { tenant, timelineId, redo, upTo, signal });
  const { source } = loaded;
  const { gcCutoffLsn: lsnMin } = chosen.index;
  const { time } = options;
  const lsn =
    time === undefined ? chosen.lsn : await findLsnAt(loaded.storage, { source, lsnMin, time, signal });
  const { tenantId } = tenant;
  return openTimeline(storage, {
    tenant,
    timelineId,
    loaded,
    lsn,
    redo,
    isPinned: (at) => isPinned(storage, { tenantId, timelineId, lsn: at }, signal),
    signal,
  });
}

async function openShards(storage: Storage, of: ShardRequest): Promise<TimelineReader> {
  const { options, chosen, tenant, signal } = of;
  const { shards, timelineId, index } = chosen;
  const { stripeSize, time } = options;
  const redo = createValueRedo(index.postgresMajor);
  const { gcCutoffLsn: lsnMin, diskConsistentLsn: end } = index;
  const lsn =
    time === undefined
      ? chosen.lsn
      : await findLsnAt(storage, {
          source: await loadTimeline(storage, { tenant, timelineId, signal }),
          lsnMin,
          end,
          time,
          signal,
        });
  return openShardedView(storage, { shards, timelineId, lsn, stripeSize, redo, signal });
}

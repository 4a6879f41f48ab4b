import type { TimelineSource } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { PinnedLsn } from '../gc/retained-points.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';

/** A timeline that a branch can leave. */
export interface BranchParent {
  readonly timelineId: string;
  /** Where its layers are read from. */
  readonly storage: Storage;
  /** The layers as published. */
  readonly source: TimelineSource;
  readonly lastRecordLsn: Lsn;
  /** Brings everything up to `lastRecordLsn` into published layers. */
  push(options?: CallOptions): Promise<void>;
}

/** What making and deleting branches needs of a page server. */
export interface BranchHost {
  readonly tenantId: string;
  readonly generation: number;
  /** The bucket itself. */
  readonly bucket: Storage;
  /** Throws `PAGESERVER_NOT_FOUND`. */
  timeline(timelineId: string): BranchParent;
  /** Takes up a timeline whose index was put. */
  addTimeline(timelineId: string): Promise<unknown>;
  /** Stops and forgets a timeline. */
  removeTimeline(timelineId: string): Promise<void>;
  /** LSNs that are pinned below a GC cutoff besides those of snapshots. */
  leased(): readonly PinnedLsn[];
  /** Rejects when the right to write was lost; good for whatever is put next. */
  assertHeld(options: CallOptions): Promise<void>;
  /** The time, for the trace that a deletion leaves. */
  now(): Date;
}

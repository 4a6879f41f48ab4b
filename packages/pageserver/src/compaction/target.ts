import type { BuiltLayer, RedoFunction, StoredLayer, TimelineSource } from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import type { CallOptions, LayerChange } from '../timeline/timeline-types.ts';

/** What compaction and garbage collection need of a timeline. */
export interface CompactionTarget {
  readonly tenantId: string;
  readonly timelineId: string;
  /** Where its layers are read from. */
  readonly storage: Storage;
  readonly redo: RedoFunction;
  /** The layers as they are now: another object after each change. */
  readonly source: TimelineSource;
  /** Stores a layer that no index lists yet: so one at a time is in memory. */
  putLayer(layer: BuiltLayer, options?: CallOptions): Promise<StoredLayer>;
  /** Publishes a change by one new index; gives the layers that are listed no more. */
  publish(change: LayerChange, options?: CallOptions): Promise<readonly StoredLayer[]>;
}

import { lastSegment, type StoredLayer } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { CompactionTarget } from '../compaction/target.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';
import { putDeletionNotes } from './deletion-notes.ts';
import { gcCutoff, type LsnSeen } from './gc-cutoff.ts';
import { planGarbage } from './gc-plan.ts';
import { type PinnedLsn, retainedPoints } from './retained-points.ts';
import { listedTimelines, snapshotPins } from './tenant-timelines.ts';

export interface CollectGarbageOptions extends CallOptions {
  /** The bucket itself: names and notes lie there. */
  readonly bucket: Storage;
  readonly generation: number;
  readonly now: Date;
  readonly pitrIntervalMs: number;
  readonly horizonBytes: number;
  readonly seen: readonly LsnSeen[];
  /** LSNs that are leased now, of any timeline of the tenant. */
  readonly leased: () => readonly PinnedLsn[];
}

export interface CollectedGarbage {
  /** Where it moved to; undefined where it stays. */
  readonly cutoff: Lsn | undefined;
  readonly layers: number;
  readonly bytes: number;
  /** Layers that were looked at, and how many of them stay for which reason. */
  readonly considered: number;
  /** They have something above the cutoff. */
  readonly neededByCutoff: number;
  /** Only branches, names or leases need them. */
  readonly neededByRetained: number;
}

/**
 * Ends the history that nobody may read any more. The new cutoff is published before it is asked what is pinned: whoever pins an LSN then, and afterwards
 * finds the cutoff still at or below it, knows that it is kept.
 */
export async function collectGarbage(
  target: CompactionTarget,
  options: CollectGarbageOptions,
): Promise<CollectedGarbage> {
  const { signal } = options;
  const cutoff = await gcCutoff({ ...options, storage: target.storage, source: target.source });
  if (cutoff !== undefined) await target.publish({ gcCutoff: cutoff }, { signal });
  const { source } = target;
  const listed = source.layers.layers.filter(({ name }) => source.index.layers.has(name));
  const reached = source.index.metadata.latestGcCutoffLsn;
  const garbage = planGarbage(listed, { cutoff: reached, retained: await retained(target, options) });
  const facts = {
    cutoff,
    considered: listed.length,
    neededByCutoff: listed.filter(({ desc }) => desc.lsnEnd > reached + 1n).length,
    neededByRetained: planGarbage(listed, { cutoff: reached, retained: [] }).length - garbage.length,
  };
  if (garbage.length === 0) return { ...facts, layers: 0, bytes: 0 };
  const removed = await target.publish({ remove: garbage.map(({ name }) => name) }, { signal });
  await noteRemoved(target, removed, options);
  const bytes = removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { ...facts, layers: removed.length, bytes };
}

async function retained(
  { tenantId, timelineId }: CompactionTarget,
  { bucket, leased, signal }: CollectGarbageOptions,
): Promise<readonly Lsn[]> {
  // In this order: a branch that was made at a pinned LSN is seen even if its pin goes in between.
  const pinned = [...(await snapshotPins(bucket, tenantId, { signal })), ...leased()];
  const timelines = await listedTimelines(bucket, tenantId, { signal });
  return retainedPoints(timelineId, timelines, pinned);
}

export interface NoteRemovedOptions extends CallOptions {
  readonly bucket: Storage;
  readonly generation: number;
  readonly now: Date;
}

/** Notes that objects are listed no more. */
export async function noteRemoved(
  { tenantId, timelineId }: CompactionTarget,
  layers: readonly StoredLayer[],
  { bucket, ...options }: NoteRemovedOptions,
): Promise<void> {
  const names = layers.map(({ objectKey }) => lastSegment(objectKey));
  await putDeletionNotes(bucket, { ...options, tenantId, timelineId, layers: names });
}

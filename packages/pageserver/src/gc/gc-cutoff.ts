import type { TimelineSource } from '@neon-snapshot/neon-layer';
import { findLsnAt } from '@neon-snapshot/neon-timeline';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { CallOptions } from '../timeline/timeline-types.ts';

/** Commit times count from 2000-01-01 UTC. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** When a timeline had reached an LSN. */
export interface LsnSeen {
  readonly lsn: Lsn;
  readonly at: Date;
}

export interface GcCutoffOptions extends CallOptions {
  readonly storage: Storage;
  readonly source: TimelineSource;
  readonly now: Date;
  /** How far back every LSN stays readable. */
  readonly pitrIntervalMs: number;
  /** WAL behind the end that stays readable however old it is (Neon's `gc_horizon`). */
  readonly horizonBytes: number;
  /** Times that are known besides those of commits: a timeline without commits goes on, too. */
  readonly seen: readonly LsnSeen[];
}

/**
 * The LSN before which history ends: what the timeline had reached when the interval began, by the times of commits and by when it was seen there.
 * Undefined where nothing is old enough, or where the cutoff is there already.
 */
export async function gcCutoff(options: GcCutoffOptions): Promise<Lsn | undefined> {
  const { source } = options;
  const { diskConsistentLsn, latestGcCutoffLsn } = source.index.metadata;
  const behindHorizon = diskConsistentLsn - BigInt(options.horizonBytes);
  if (behindHorizon <= latestGcCutoffLsn) return undefined;
  const byTime = await lsnBefore(options);
  if (byTime === undefined) return undefined;
  const earlier = byTime < behindHorizon ? byTime : behindHorizon;
  const cutoff = lsn(earlier - (earlier % 8n));
  return cutoff > latestGcCutoffLsn ? cutoff : undefined;
}

async function lsnBefore(options: GcCutoffOptions): Promise<Lsn | undefined> {
  const { storage, source, now, pitrIntervalMs, seen, signal } = options;
  const startMs = now.getTime() - pitrIntervalMs;
  let found: Lsn | undefined;
  for (const each of seen)
    if (each.at.getTime() <= startMs && (found === undefined || each.lsn > found)) found = each.lsn;
  const time = BigInt(startMs - POSTGRES_EPOCH_MS) * 1000n;
  const committed = await findLsnAt(storage, { source, time, signal });
  if (committed.kind === 'past') return found;
  return found === undefined || committed.lsn > found ? committed.lsn : found;
}

import { firstReadableLsn, type TimelineSource } from '@neon-snapshot/neon-layer';
import { findLsnAt, formatCommitTime } from '@neon-snapshot/neon-timeline';
import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { pinnedPoints } from '../gc/retained-points.ts';
import { listedTimelines, snapshotPins } from '../gc/tenant-timelines.ts';
import { PageServerError } from '../page-server-error.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { BranchHost, BranchParent } from './branch-host.ts';

/** Where a branch begins: at an LSN, as of a time, or where its parent ends. */
export type BranchStart =
  | { readonly kind: 'tip' }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  /** µs since 2000-01-01 UTC. */
  | { readonly kind: 'time'; readonly time: bigint };

/** A timeline and where a branch leaves it. */
export interface BranchPoint {
  readonly source: TimelineSource;
  readonly lsn: Lsn;
}

/**
 * The LSN of a start, in layers by now, and the timeline that it is of: where it lies before the parent's own branch point, one of the
 * parent's ancestors. Throws `PAGESERVER_LSN_OUT_OF_RANGE`.
 */
export async function branchPoint(
  parent: BranchParent,
  start: BranchStart,
  options: CallOptions,
): Promise<BranchPoint> {
  const isPushed = start.kind === 'lsn' && start.lsn <= parent.source.index.metadata.diskConsistentLsn;
  if (!isPushed) await parent.push(options);
  let { source } = parent;
  const end = source.index.metadata.diskConsistentLsn;
  const found = await lsnOf(parent.storage, source, start, options);
  if (found > end) throw behindEnd(source, { found, end });
  const at = lastRecordEnd(found);
  while (source.ancestor !== undefined && at < source.ancestor.lsn) source = source.ancestor.source;
  return { source, lsn: at };
}

async function lsnOf(
  storage: Storage,
  source: TimelineSource,
  start: BranchStart,
  { signal }: CallOptions,
): Promise<Lsn> {
  if (start.kind === 'tip') return source.index.metadata.diskConsistentLsn;
  if (start.kind === 'lsn') return start.lsn;
  const found = await findLsnAt(storage, { source, time: start.time, signal });
  if (found.kind !== 'past') return found.lsn;
  const asked = formatCommitTime(start.time);
  const known =
    found.earliest === undefined
      ? 'no time of a commit is recorded in it'
      : `the first time recorded is ${formatCommitTime(found.earliest)}`;
  throw new PageServerError({
    code: 'PAGESERVER_LSN_OUT_OF_RANGE',
    operation: 'create branch',
    message: `timeline ${source.timelineId} cannot be read as of ${asked}: ${known}; give an LSN instead`,
    context: { timelineId: source.timelineId, time: asked },
  });
}

/**
 * Throws `PAGESERVER_LSN_OUT_OF_RANGE` unless the branch point can be read: it is not behind the GC cutoff, or it is pinned. To be asked again
 * when the branch's index is there, which keeps the point from then on.
 */
export async function assertReadable(
  host: BranchHost,
  point: BranchPoint,
  { signal }: CallOptions,
): Promise<void> {
  const { source, lsn: at } = point;
  const first = firstReadableLsn(source);
  if (at >= first) return;
  if ((await pinnedOf(host, source, { signal })).includes(at)) return;
  throw new PageServerError({
    code: 'PAGESERVER_LSN_OUT_OF_RANGE',
    operation: 'create branch',
    message: `timeline ${source.timelineId} has no history before ${formatLsn(first)} any more; asked for was ${formatLsn(at)}; a snapshot keeps an LSN for longer`,
    context: { timelineId: source.timelineId, lsn: formatLsn(at), lsnMin: formatLsn(first) },
  });
}

/**
 * LSNs of a timeline that names and leases pin, down to where records end. Not those that other branches keep: of two that are made at once
 * each would count on the other.
 */
async function pinnedOf(
  host: BranchHost,
  { timelineId }: TimelineSource,
  { signal }: CallOptions,
): Promise<readonly Lsn[]> {
  const { bucket, tenantId } = host;
  const pinned = [...(await snapshotPins(bucket, tenantId, { signal })), ...host.leased()];
  const timelines = await listedTimelines(bucket, tenantId, { signal });
  return pinnedPoints(timelineId, timelines, pinned).map(lastRecordEnd);
}

/** State changes at ends of records only, which are multiples of 8, and WAL goes on at one. */
function lastRecordEnd(at: Lsn): Lsn {
  return lsn(at - (at % 8n));
}

function behindEnd(
  source: TimelineSource,
  { found, end }: { readonly found: Lsn; readonly end: Lsn },
): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_LSN_OUT_OF_RANGE',
    operation: 'create branch',
    message: `timeline ${source.timelineId} ends at ${formatLsn(end)}; asked for was ${formatLsn(found)}`,
    context: { timelineId: source.timelineId, lsn: formatLsn(found), lsnMax: formatLsn(end) },
  });
}

import { encodeIndexPart, indexObjectKey, listIndexes, parseId, UNSHARDED } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import { isStorageError } from '@neon-snapshot/storage-core';
import { PageServerError } from '../page-server-error.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { BranchHost } from './branch-host.ts';
import { assertReadable, type BranchPoint, type BranchStart, branchPoint } from './branch-point.ts';

export interface CreateBranchOptions extends CallOptions {
  readonly parentId: string;
  /** 32 lower-case hex digits that no timeline of the tenant has. */
  readonly timelineId: string;
  readonly start: BranchStart;
}

export interface CreatedBranch {
  readonly timelineId: string;
  /** Not always the parent that was named: a start before its own branch point is its ancestor's. */
  readonly ancestorTimelineId: string;
  readonly ancestorLsn: Lsn;
}

/**
 * Makes a timeline that begins as another one was at some LSN: an index without layers. Throws `PAGESERVER_LSN_OUT_OF_RANGE`,
 * `PAGESERVER_NOT_FOUND`, and `PAGESERVER_EXISTS` where the id is taken.
 */
export async function createBranch(host: BranchHost, options: CreateBranchOptions): Promise<CreatedBranch> {
  const { signal } = options;
  const timelineId = parseId(options.timelineId);
  const tenant = { tenantId: host.tenantId, shard: UNSHARDED };
  if ((await listIndexes(host.bucket, tenant, timelineId, { signal })).length > 0) throw taken(timelineId);
  const parent = host.timeline(options.parentId);
  const point = await branchPoint(parent, options.start, { signal });
  assertAlive(point);
  await assertReadable(host, point, { signal });
  await host.assertHeld({ signal });
  const key = await putIndex(host, timelineId, point, { signal });
  try {
    // From here on garbage collection sees the branch; what it did before shows in the parent's index.
    const current = host.timeline(point.source.timelineId);
    assertAlive(current);
    await assertReadable(host, { source: current.source, lsn: point.lsn }, { signal });
  } catch (error) {
    await host.bucket.delete([key]);
    throw error;
  }
  await host.addTimeline(timelineId);
  return { timelineId, ancestorTimelineId: point.source.timelineId, ancestorLsn: point.lsn };
}

function assertAlive({ source }: Pick<BranchPoint, 'source'>): void {
  if (source.index.deletedAt === undefined) return;
  throw new PageServerError({
    code: 'PAGESERVER_NOT_FOUND',
    operation: 'create branch',
    message: `timeline ${source.timelineId} is being deleted`,
    context: { timelineId: source.timelineId },
  });
}

async function putIndex(
  host: BranchHost,
  timelineId: string,
  { source, lsn: at }: BranchPoint,
  { signal }: CallOptions,
): Promise<string> {
  const { metadata, relSizeMigration, relSizeMigratedAt } = source.index;
  const isTip = at === metadata.diskConsistentLsn;
  const cutoff = metadata.latestGcCutoffLsn;
  const bytes = encodeIndexPart({
    layers: new Map(),
    diskConsistentLsn: at,
    metadata: {
      diskConsistentLsn: at,
      prevRecordLsn: isTip ? metadata.prevRecordLsn : undefined,
      ancestorTimelineId: source.timelineId,
      ancestorLsn: at,
      // Behind a pinned LSN the parent's history may have ended later.
      latestGcCutoffLsn: cutoff < at ? cutoff : at,
      initdbLsn: metadata.initdbLsn,
      postgresMajor: metadata.postgresMajor,
    },
    relSizeMigration: relSizeMigration ?? 'legacy',
    relSizeMigratedAt,
  });
  const tenant = { tenantId: host.tenantId, shard: UNSHARDED };
  const key = indexObjectKey({ tenant, timelineId, generation: host.generation });
  try {
    const { ifNoneMatch } = host.bucket.capability.conditionalPut;
    await host.bucket.put(key, bytes, { signal, ...(ifNoneMatch ? { ifNoneMatch: '*' } : {}) });
  } catch (error) {
    throw isStorageError(error, 'STORAGE_ALREADY_EXISTS') ? taken(timelineId) : error;
  }
  return key;
}

function taken(timelineId: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_EXISTS',
    operation: 'create branch',
    message: `there is a timeline ${timelineId} already`,
    context: { timelineId },
  });
}

import {
  encodeIndexPart,
  indexObjectKey,
  listIndexes,
  loadOwnTimeline,
  parseId,
  timelinePrefix,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { type ListedTimeline, listedTimelines } from '../gc/tenant-timelines.ts';
import { PageServerError } from '../page-server-error.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { BranchHost } from './branch-host.ts';

export interface DeleteBranchOptions extends CallOptions {
  readonly timelineId: string;
}

/**
 * Deletes a branch: its layers, raw WAL and indexes. Throws `PAGESERVER_INVALID_ARGUMENT` for a timeline that others were made from, that a snapshot
 * names, or that was made from none; `PAGESERVER_NOT_FOUND`. What is interrupted is finished by {@link finishDeletions}.
 */
export async function deleteBranch(host: BranchHost, options: DeleteBranchOptions): Promise<void> {
  const { signal } = options;
  const timelineId = parseId(options.timelineId);
  await assertUnused(host, timelineId, { signal });
  await host.removeTimeline(timelineId);
  try {
    // A branch that was made from it in between saw it for the last time before that.
    await assertUnused(host, timelineId, { signal });
    await host.assertHeld({ signal });
  } catch (error) {
    await host.addTimeline(timelineId);
    throw error;
  }
  await markDeleted(host, timelineId, { signal });
  await deleteObjects(host, timelineId, { signal });
}

/** Goes on with deletions that a process before this one began; gives those of the tenant's `timelines`. */
export async function finishDeletions(
  host: Pick<BranchHost, 'bucket' | 'tenantId' | 'assertHeld'>,
  timelines: readonly ListedTimeline[],
  { signal }: CallOptions = {},
): Promise<readonly string[]> {
  const begun = timelines.filter(({ isDeleted }) => isDeleted).map(({ timelineId }) => timelineId);
  for (const timelineId of begun) {
    const isUsed = timelines.some(({ ancestor }) => ancestor?.timelineId === timelineId);
    if (isUsed) continue;
    await host.assertHeld({ signal });
    await deleteObjects(host, timelineId, { signal });
  }
  return begun;
}

async function assertUnused(host: BranchHost, timelineId: string, { signal }: CallOptions): Promise<void> {
  const timelines = await listedTimelines(host.bucket, host.tenantId, { signal });
  const own = timelines.find((each) => each.timelineId === timelineId);
  if (own === undefined) throw notThere(host, timelineId);
  if (own.ancestor === undefined)
    throw refusal(timelineId, 'it was made from none, so that it is the tenant; delete the tenant instead');
  const children = timelines.filter(({ ancestor }) => ancestor?.timelineId === timelineId);
  if (children.length > 0)
    throw refusal(
      timelineId,
      `branches were made from it: ${children.map((each) => each.timelineId).join(', ')}`,
    );
  const snapshots = await openRefs({ storage: host.bucket, tenantId: host.tenantId }).snapshots.list({
    signal,
  });
  const names = snapshots.filter((each) => each.timelineId === timelineId).map(({ name }) => name);
  if (names.length > 0) throw refusal(timelineId, `snapshots name it: ${names.join(', ')}`);
}

/** From here on nobody takes the timeline up, also a real page server. */
async function markDeleted(host: BranchHost, timelineId: string, { signal }: CallOptions): Promise<void> {
  const { bucket, tenantId, generation } = host;
  const own = await loadOwnTimeline(bucket, { tenant: tenantId, timelineId, signal });
  if (own === undefined) throw notThere(host, timelineId);
  const deletedAt = host.now().toISOString().replace('Z', '');
  const key = indexObjectKey({ tenant: { tenantId, shard: UNSHARDED }, timelineId, generation });
  await bucket.put(key, encodeIndexPart({ ...own.index, deletedAt }), { signal });
}

/** Everything but the newest index first: it says that the rest is being deleted. */
async function deleteObjects(
  { bucket, tenantId }: Pick<BranchHost, 'bucket' | 'tenantId'>,
  timelineId: string,
  { signal }: CallOptions,
): Promise<void> {
  const tenant = { tenantId, shard: UNSHARDED };
  const newest = (await listIndexes(bucket, tenant, timelineId, { signal })).at(-1)?.key;
  const prefixes = [timelinePrefix(tenant, timelineId), `neon-snapshot/${tenantId}/wal/${timelineId}/`];
  for (const prefix of prefixes) await deletePrefix(bucket, prefix, { except: newest, signal });
  if (newest !== undefined) await bucket.delete([newest], { signal });
}

async function deletePrefix(
  bucket: Storage,
  prefix: string,
  { except, signal }: CallOptions & { readonly except: string | undefined },
): Promise<void> {
  for await (const { objects } of bucket.list({ prefix, signal })) {
    const keys = objects.map(({ key }) => key).filter((key) => key !== except);
    if (keys.length > 0) await bucket.delete(keys, { signal });
  }
}

function notThere({ tenantId }: Pick<BranchHost, 'tenantId'>, timelineId: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_NOT_FOUND',
    operation: 'delete branch',
    message: `there is no timeline ${timelineId} of tenant ${tenantId}`,
    context: { timelineId },
  });
}

function refusal(timelineId: string, why: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'delete branch',
    message: `timeline ${timelineId} is not deleted: ${why}`,
    context: { timelineId },
  });
}

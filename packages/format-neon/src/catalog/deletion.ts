import { FormatError } from '@neon-snapshot/format-core';
import {
  lastSegment,
  parseIndexName,
  parseManifestName,
  parseTenantManifest,
  tenantPrefix,
  timelinePrefix,
} from '@neon-snapshot/neon-layer';
import { type ObjectInfo, readAll, type Storage } from '@neon-snapshot/storage-core';
import { type CatalogOptions, listTenantShards } from './tenant-tree.ts';
import { listTimelines } from './timelines.ts';

/** What a deletion would remove. Nothing has been deleted yet. */
export interface DeletionPlan {
  /** Keys in the order in which they go: indexes first, so that an interrupted deletion leaves nothing that looks whole. */
  readonly keys: readonly string[];
  readonly bytesTotal: number;
}

export interface TimelineDeletionRequest extends CatalogOptions {
  readonly tenantId: string;
  readonly timelineId: string;
}

const DELETE_BATCH_KEYS = 1000;
/** As much as neon-layer parses. */
const MANIFEST_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Everything of one timeline: its objects in every shard and its WAL beside the tenant. What belongs to the tenant stays, but for the
 * configuration of its cluster, which goes with the last timeline.
 * A timeline that another one descends from is `FORMAT_UNSUPPORTED`; one that is not there `FORMAT_NOT_FOUND`.
 */
export async function planTimelineDeletion(
  storage: Storage,
  request: TimelineDeletionRequest,
): Promise<DeletionPlan> {
  const { tenantId, timelineId } = request;
  await assertNoDescendants(storage, request);
  const shards = await listTenantShards(storage, request);
  const isLast = (await listTimelines(storage, request)).every((other) => other.timelineId === timelineId);
  const prefixes = [
    ...shards.map((shard) => timelinePrefix(shard, timelineId)),
    `neon-snapshot/${tenantId}/wal/${timelineId}/`,
    ...(isLast ? [`neon-snapshot/${tenantId}/cluster/`] : []),
  ];
  return planPrefixes(storage, prefixes, {
    signal: request.signal,
    nothing: `there is no timeline ${timelineId} of tenant ${tenantId} in ${storage.url}`,
  });
}

/** Everything of a tenant: all shards, timelines and manifests, and our own objects beside it. */
export async function planTenantDeletion(
  storage: Storage,
  request: CatalogOptions & { readonly tenantId: string },
): Promise<DeletionPlan> {
  const { tenantId, signal } = request;
  const shards = await listTenantShards(storage, request);
  const prefixes = [...shards.map(tenantPrefix), `neon-snapshot/${tenantId}/`];
  return planPrefixes(storage, prefixes, {
    signal,
    nothing: `there is no tenant ${tenantId} in ${storage.url}`,
  });
}

/** Deletes what was planned, in order, in batches. Running it again after a failure finishes the job. */
export async function executeDeletion(
  storage: Storage,
  plan: DeletionPlan,
  options: CatalogOptions & { readonly onDeleted?: (keysDone: number) => void } = {},
): Promise<void> {
  for (let start = 0; start < plan.keys.length; start += DELETE_BATCH_KEYS) {
    const batch = plan.keys.slice(start, start + DELETE_BATCH_KEYS);
    await storage.delete(batch, { signal: options.signal });
    options.onDeleted?.(start + batch.length);
  }
}

async function planPrefixes(
  storage: Storage,
  prefixes: readonly string[],
  options: CatalogOptions & { readonly nothing: string },
): Promise<DeletionPlan> {
  const objects: ObjectInfo[] = [];
  for (const prefix of prefixes) {
    for await (const page of storage.list({ prefix, signal: options.signal })) objects.push(...page.objects);
  }
  if (objects.length === 0) {
    throw new FormatError({
      code: 'FORMAT_NOT_FOUND',
      operation: 'plan deletion',
      message: options.nothing,
    });
  }
  const first = objects.filter(isCommitObject);
  const rest = objects.filter((object) => !isCommitObject(object));
  return {
    // Deepest first, so that a directory is empty when its turn comes where directories exist.
    keys: [...first, ...rest.toReversed()].map(({ key }) => key),
    bytesTotal: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** The objects that make others visible: indexes and manifests. */
function isCommitObject({ key }: ObjectInfo): boolean {
  if (key.endsWith('/')) return false;
  const name = lastSegment(key);
  return parseIndexName(name) !== null || parseManifestName(name) !== null;
}

async function assertNoDescendants(storage: Storage, request: TimelineDeletionRequest): Promise<void> {
  const timelines = await listTimelines(storage, request);
  const descendants = [
    ...timelines
      .filter((timeline) => timeline.index?.ancestorTimelineId === request.timelineId)
      .map((timeline) => timeline.timelineId),
    ...(await offloadedDescendants(storage, request)),
  ];
  if (descendants.length === 0) return;
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'plan deletion',
    message: `timeline ${request.timelineId} cannot be deleted: ${descendants.join(', ')} descend${descendants.length === 1 ? 's' : ''} from it and read${descendants.length === 1 ? 's' : ''} its layers; delete ${descendants.length === 1 ? 'that one' : 'those'} first`,
    context: { timelineId: request.timelineId, descendants: descendants.join(' ') },
  });
}

/** Timelines that only the tenant's manifests still know. */
async function offloadedDescendants(
  storage: Storage,
  request: TimelineDeletionRequest,
): Promise<readonly string[]> {
  const { signal, timelineId } = request;
  const found = new Set<string>();
  for (const shard of await listTenantShards(storage, request)) {
    for await (const page of storage.list({ prefix: tenantPrefix(shard), delimiter: '/', signal })) {
      for (const { key } of page.objects) {
        if (parseManifestName(lastSegment(key)) === null) continue;
        const { body } = await storage.get(key, { signal });
        const manifest = parseTenantManifest(await readAll(body, { sizeMaxBytes: MANIFEST_BYTES_MAX, key }));
        for (const offloaded of manifest.offloadedTimelines) {
          if (offloaded.ancestorTimelineId === timelineId) found.add(offloaded.timelineId);
        }
      }
    }
  }
  return [...found];
}

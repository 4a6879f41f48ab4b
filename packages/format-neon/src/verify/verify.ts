import {
  FormatError,
  VerifyCollector,
  type VerifyContext,
  type VerifyReport,
} from '@neon-snapshot/format-core';
import { listTenantShards } from '../catalog/tenant-tree.ts';
import { translating } from '../layer-faults.ts';
import { parseReadOptions, type ReadOptions } from '../options.ts';
import { readTenantObjects, type StoredTimeline, type TenantObjects } from './tenant-objects.ts';
import { verifyLayers } from './verify-layers.ts';
import { type ReadableTimeline, verifyObjects } from './verify-objects.ts';
import { verifyTail } from './verify-tail.ts';
import { verifyTimelinePages } from './verify-timeline-pages.ts';

/**
 * Checks the timelines that the options name and their ancestors, or every timeline of the tenants: index against objects, then
 * by level every value of every layer, or every page at the end of each timeline. Codes of findings: see the README.
 */
export async function verify(context: VerifyContext): Promise<VerifyReport> {
  const options = parseReadOptions(context.options);
  const { storage, signal } = context;
  return translating(async () => {
    const collector = new VerifyCollector();
    const shards = await listTenantShards(storage, { tenantId: options.tenantId, signal });
    const tenantIds = new Set(shards.map(({ tenantId }) => tenantId));
    let found = false;
    for (const tenantId of tenantIds) {
      const tenant = await readTenantObjects(storage, { tenantId, signal });
      const selected = selectTimelines(tenant, options.timelineId);
      found ||= selected.length > 0;
      const readable = verifyObjects(tenant, selected, collector);
      await verifyDeeper(context, { tenant, readable, options, collector });
    }
    if (!found) throw notFound(context, options);
    return collector.report();
  });
}

interface Verification {
  readonly tenant: TenantObjects;
  readonly readable: readonly ReadableTimeline[];
  readonly options: ReadOptions;
  readonly collector: VerifyCollector;
}

async function verifyDeeper(context: VerifyContext, verification: Verification): Promise<void> {
  const { level, storage, signal, onProgress, concurrency } = context;
  const { tenant, readable, collector, options } = verification;
  const damagedTails = new Set<string>();
  for (const timeline of readable) {
    const hasWholeTail = await verifyTail(storage, timeline, {
      collector,
      readsRecords: level !== 'meta',
      signal,
    });
    if (!hasWholeTail) damagedTails.add(timeline.timelineId);
  }
  if (level === 'hash') {
    for (const timeline of readable) {
      const { postgresMajor } = timeline.newest.content.metadata;
      const layers = timeline.newest.layers.filter(
        ({ objectKey, sizeBytes }) => tenant.sizes.get(objectKey) === sizeBytes,
      );
      await verifyLayers(storage, layers, {
        tenantId: tenant.tenantId,
        postgresMajor,
        collector,
        concurrency,
        onProgress,
        signal,
      });
    }
  }
  for (const [timelineId, shards] of Map.groupBy(readable, (each) => each.timelineId)) {
    const isNamed = options.timelineId === undefined || options.timelineId === timelineId;
    if (level === 'pages' && isNamed)
      await verifyTimelinePages(context, {
        shards,
        options,
        collector,
        readsTail: !damagedTails.has(timelineId),
      });
  }
}

/** Those that are meant, with all that they descend from; of shards that were split only the newest. */
function selectTimelines(
  { timelines }: TenantObjects,
  timelineId: string | undefined,
): readonly StoredTimeline[] {
  const current = timelines.filter(({ isCurrent }) => isCurrent);
  if (timelineId === undefined) return current;
  const wanted = new Set<string>();
  const pending = [timelineId];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (wanted.has(id)) continue;
    wanted.add(id);
    for (const { newest } of current.filter((timeline) => timeline.timelineId === id)) {
      if (newest === undefined || 'fault' in newest.content) continue;
      const { ancestorTimelineId } = newest.content.metadata;
      if (ancestorTimelineId !== undefined) pending.push(ancestorTimelineId);
    }
  }
  const isThere = current.some((timeline) => timeline.timelineId === timelineId);
  return isThere ? current.filter((timeline) => wanted.has(timeline.timelineId)) : [];
}

function notFound({ storage }: VerifyContext, { tenantId, timelineId }: ReadOptions): FormatError {
  const wanted = [
    timelineId === undefined ? 'timeline' : `timeline ${timelineId}`,
    ...(tenantId === undefined ? [] : [`of tenant ${tenantId}`]),
  ].join(' ');
  return new FormatError({
    code: 'FORMAT_NOT_FOUND',
    operation: 'verify',
    message: `${storage.url} has no ${wanted}; see what it holds with neon timeline ls`,
  });
}

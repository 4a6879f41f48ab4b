import type { VerifyCollector } from '@neon-snapshot/format-core';
import {
  type IndexPart,
  isNeonLayerError,
  lastSegment,
  parseIndexName,
  parseLayerObjectName,
  type StoredLayer,
} from '@neon-snapshot/neon-layer';
import { formatLsn } from '@neon-snapshot/postgres';
import type { StoredIndex, StoredTimeline, TenantObjects } from './tenant-objects.ts';

/** Objects of a timeline that are neither index nor layer. */
const OTHER_NAMES = /^(initdb|initdb-preserved)\.tar\.zst$/;

/** A timeline whose index can be used. */
export interface ReadableTimeline extends StoredTimeline {
  readonly newest: StoredIndex & { readonly content: IndexPart };
}

/** Compares the indexes of the selected timelines with what lies there. Returns those that can be read further. */
export function verifyObjects(
  tenant: TenantObjects,
  selected: readonly StoredTimeline[],
  collector: VerifyCollector,
): readonly ReadableTimeline[] {
  for (const name of ['timelines', 'layers', 'layerBytes', 'orphans']) collector.count(name, 0);
  const referenced = new Set(
    tenant.timelines.flatMap(({ newest }) => newest?.layers.map(({ objectKey }) => objectKey) ?? []),
  );
  const readable: ReadableTimeline[] = [];
  for (const timeline of selected) {
    collector.count('timelines');
    findForeignObjects(timeline, { sizes: tenant.sizes, referenced, collector });
    const checked = verifyIndex(timeline, collector);
    if (checked === undefined) continue;
    if (checked.newest.content.deletedAt !== undefined) {
      collector.warning({
        code: 'TIMELINE_DELETING',
        path: checked.newest.key,
        message: `timeline ${timeline.timelineId} is being deleted; its layers are not looked at`,
      });
      continue;
    }
    verifyAncestor(checked, tenant, collector);
    for (const layer of checked.newest.layers) verifyLayerObject(checked, layer, { tenant, collector });
    countFutureLayers(checked, collector);
    readable.push(checked);
  }
  return readable;
}

function verifyIndex(timeline: StoredTimeline, collector: VerifyCollector): ReadableTimeline | undefined {
  const { newest, timelineId, prefix } = timeline;
  if (newest === undefined) {
    collector.warning({
      code: 'TIMELINE_INCOMPLETE',
      path: prefix,
      message: `timeline ${timelineId} has objects and no index: an interrupted import, or what a deletion left`,
    });
    return undefined;
  }
  const { content, key } = newest;
  if ('fault' in content) {
    collector.error({ code: 'INDEX_INVALID', path: key, message: content.fault });
    return undefined;
  }
  const { diskConsistentLsn, metadata } = content;
  if (diskConsistentLsn !== metadata.diskConsistentLsn) {
    collector.error({
      code: 'INDEX_INVALID',
      path: key,
      message: `${key} ends at ${formatLsn(diskConsistentLsn)}, its metadata at ${formatLsn(metadata.diskConsistentLsn)}`,
    });
  }
  return { ...timeline, newest: { ...newest, content } };
}

function verifyAncestor(timeline: ReadableTimeline, tenant: TenantObjects, collector: VerifyCollector): void {
  const { newest, timelineId } = timeline;
  const { ancestorTimelineId, ancestorLsn } = newest.content.metadata;
  if (ancestorTimelineId === undefined) return;
  const ancestor = tenant.timelines.find(
    (candidate) =>
      candidate.timelineId === ancestorTimelineId &&
      candidate.tenant.shard.count === timeline.tenant.shard.count &&
      candidate.tenant.shard.number === timeline.tenant.shard.number,
  );
  const content = ancestor?.newest?.content;
  if (content === undefined) {
    collector.error({
      code: 'ANCESTOR_MISSING',
      path: newest.key,
      message: `timeline ${timelineId} branches from ${ancestorTimelineId}, which has no index here`,
    });
  } else if (!('fault' in content) && content.diskConsistentLsn < ancestorLsn) {
    collector.error({
      code: 'ANCESTOR_LSN',
      path: newest.key,
      message: `timeline ${timelineId} branches from ${ancestorTimelineId} at ${formatLsn(ancestorLsn)}, which ends at ${formatLsn(content.diskConsistentLsn)}`,
    });
  }
}

function verifyLayerObject(
  { newest }: ReadableTimeline,
  { name, objectKey, sizeBytes }: StoredLayer,
  { tenant, collector }: { readonly tenant: TenantObjects; readonly collector: VerifyCollector },
): void {
  collector.count('layers');
  collector.count('layerBytes', sizeBytes);
  const found = tenant.sizes.get(objectKey);
  if (found === undefined) {
    collector.error({
      code: 'LAYER_MISSING',
      path: objectKey,
      message: `${objectKey} is in the index and is not there`,
    });
  } else if (found !== sizeBytes) {
    collector.error({
      code: 'LAYER_SIZE',
      path: objectKey,
      message: `${objectKey} has ${found} bytes, the index says ${sizeBytes}`,
    });
  }
  const generation = newest.content.layers.get(name)?.generation;
  if (generation !== undefined && generation > (newest.generation ?? -1)) {
    collector.error({
      code: 'LAYER_GENERATION',
      path: objectKey,
      message: `${newest.key} lists ${name} of generation ${generation}, which is newer than the index`,
    });
  }
}

/** What a page server wrote and did not finish: it drops these layers when it attaches, and readers leave them out. */
function countFutureLayers({ newest, timelineId }: ReadableTimeline, collector: VerifyCollector): void {
  const end = newest.content.diskConsistentLsn;
  const count = newest.layers.filter(({ desc }) => desc.lsnEnd > end + 1n).length;
  if (count === 0) return;
  collector.warning({
    code: 'LAYER_FUTURE',
    path: newest.key,
    message: `${count} layers of timeline ${timelineId} reach past its end, ${formatLsn(end)}; readers leave them out`,
  });
}

/** Objects that no index wants. They take room and do no harm. */
function findForeignObjects(
  { keys }: StoredTimeline,
  options: {
    readonly sizes: ReadonlyMap<string, number>;
    readonly referenced: ReadonlySet<string>;
    readonly collector: VerifyCollector;
  },
): void {
  const { sizes, referenced, collector } = options;
  for (const key of keys) {
    if (referenced.has(key)) continue;
    const sizeBytes = sizes.get(key) ?? 0;
    const name = lastSegment(key);
    if (parseIndexName(name) !== null || OTHER_NAMES.test(name)) continue;
    collector.count('orphans');
    const isLayer = isLayerName(name);
    collector.warning({
      code: isLayer ? 'LAYER_ORPHAN' : 'OBJECT_UNKNOWN',
      path: key,
      message: isLayer
        ? `${key} (${sizeBytes} bytes) is in no newest index: left by an interrupted write or a pending deletion`
        : `${key} (${sizeBytes} bytes) is nothing that Neon puts there`,
    });
  }
}

function isLayerName(name: string): boolean {
  try {
    parseLayerObjectName(name);
    return true;
  } catch (error) {
    if (isNeonLayerError(error)) return false;
    throw error;
  }
}

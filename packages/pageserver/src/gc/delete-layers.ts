import {
  formatGenerationSuffix,
  lastSegment,
  listIndexes,
  loadOwnTimeline,
  parseLayerObjectName,
  timelinePrefix,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import type { CallOptions } from '../timeline/timeline-types.ts';
import { putDeletionNotes, readDeletionNotes } from './deletion-notes.ts';

export interface DeleteLayersOptions extends CallOptions {
  readonly tenantId: string;
  /** Notes of other timelines are left alone as long as these are there. */
  readonly timelineId: string;
  readonly now: Date;
  /** How long an object stays after it was noted. */
  readonly graceMs: number;
  /** Rejects when the right to write was lost. Asked before anything is deleted. */
  readonly assertHeld: (options: CallOptions) => Promise<void>;
}

/** Deletes what was noted long enough ago and is still listed by no index; gives the number of objects. */
export async function deleteNotedLayers(storage: Storage, options: DeleteLayersOptions): Promise<number> {
  const { tenantId, now, graceMs, signal } = options;
  let deleted = 0;
  for await (const { key, notedAt, timelineId, layers } of readDeletionNotes(storage, tenantId, { signal })) {
    if (notedAt.getTime() + graceMs > now.getTime()) continue;
    if (timelineId !== options.timelineId && (await isThere(storage, { tenantId, timelineId, signal })))
      continue;
    const listed = await listedObjects(storage, { tenantId, timelineId, signal });
    const prefix = timelinePrefix({ tenantId, shard: UNSHARDED }, timelineId);
    const objectKeys = layers.map((name) => `${prefix}${name}`).filter((each) => !listed.has(each));
    await options.assertHeld({ signal });
    if (objectKeys.length > 0) await storage.delete(objectKeys, { signal });
    await storage.delete([key], { signal });
    deleted += objectKeys.length;
  }
  return deleted;
}

export interface NoteUnlistedOptions extends CallOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  /** Our own: layers of it may just wait for their index. */
  readonly generation: number;
  readonly now: Date;
}

/**
 * Notes the layers of earlier generations that the newest index does not list: what a writer stored that died before it published. Gives the
 * number of objects.
 */
export async function noteUnlistedLayers(storage: Storage, options: NoteUnlistedOptions): Promise<number> {
  const { tenantId, timelineId, generation, signal } = options;
  const listed = await listedObjects(storage, options);
  const noted = await notedLayers(storage, options);
  const prefix = timelinePrefix({ tenantId, shard: UNSHARDED }, timelineId);
  const layers: string[] = [];
  for await (const { objects } of storage.list({ prefix, signal })) {
    for (const { key } of objects) {
      const name = lastSegment(key);
      const found = generationOf(name);
      if (found === undefined || found >= generation || `${prefix}${name}` !== key) continue;
      if (!listed.has(key) && !noted.has(name)) layers.push(name);
    }
  }
  if (layers.length > 0) await putDeletionNotes(storage, { ...options, layers });
  return layers.length;
}

async function isThere(
  storage: Storage,
  { tenantId, timelineId, signal }: CallOptions & { readonly tenantId: string; readonly timelineId: string },
): Promise<boolean> {
  return (await listIndexes(storage, { tenantId, shard: UNSHARDED }, timelineId, { signal })).length > 0;
}

/** Layer objects that the newest index lists; none where the timeline is gone. */
async function listedObjects(
  storage: Storage,
  { tenantId, timelineId, signal }: CallOptions & { readonly tenantId: string; readonly timelineId: string },
): Promise<ReadonlySet<string>> {
  const prefix = timelinePrefix({ tenantId, shard: UNSHARDED }, timelineId);
  const own = await loadOwnTimeline(storage, { tenant: tenantId, timelineId, signal });
  const names = [...(own?.index.layers ?? [])].map(
    ([name, { generation }]) => `${prefix}${name}${formatGenerationSuffix(generation)}`,
  );
  return new Set(names);
}

async function notedLayers(
  storage: Storage,
  { tenantId, timelineId, signal }: NoteUnlistedOptions,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const note of readDeletionNotes(storage, tenantId, { signal })) {
    if (note.timelineId === timelineId) for (const name of note.layers) names.add(name);
  }
  return names;
}

/** Undefined for what is no layer of a known generation, as writers name them. */
function generationOf(name: string): number | undefined {
  try {
    const { name: layer, generation } = parseLayerObjectName(name);
    return `${layer}${formatGenerationSuffix(generation)}` === name ? generation : undefined;
  } catch {
    return undefined;
  }
}

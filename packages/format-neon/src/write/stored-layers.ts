import {
  lastSegment,
  NeonLayerError,
  parseLayerObjectName,
  timelinePrefix,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ImportIds } from './import-journal.ts';

/** A layer object that an earlier run of the same import has stored whole: puts are atomic. */
export interface StoredLayer {
  readonly key: string;
  /** Layer name without generation. */
  readonly name: string;
  readonly generation: number | undefined;
  readonly sizeBytes: number;
}

/** All layer objects of a timeline. */
export async function listStoredLayers(
  storage: Storage,
  { tenantId, timelineId }: ImportIds,
  signal: AbortSignal | undefined,
): Promise<readonly StoredLayer[]> {
  const found: StoredLayer[] = [];
  const prefix = timelinePrefix({ tenantId, shard: UNSHARDED }, timelineId);
  for await (const page of storage.list({ prefix, signal })) {
    for (const { key, sizeBytes } of page.objects) {
      const parsed = parseIfLayer(key);
      if (parsed !== undefined) found.push({ key, sizeBytes, ...parsed });
    }
  }
  return found;
}

function parseIfLayer(key: string): Pick<StoredLayer, 'name' | 'generation'> | undefined {
  if (key.endsWith('/')) return undefined;
  try {
    const { name, generation } = parseLayerObjectName(lastSegment(key));
    return { name, generation };
  } catch (error) {
    // Indexes, the archive of initdb, and what is not ours.
    if (error instanceof NeonLayerError) return undefined;
    throw error;
  }
}

import {
  DeltaLayerBuilder,
  encodeIndexPart,
  encodeValue,
  type IndexPart,
  indexObjectKey,
  KEY_MAX,
  KEY_MIN,
  layerObjectKey,
  loadTimeline,
  UNSHARDED,
  type Value,
  willInit,
} from '@neon-snapshot/neon-layer';
import { lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { TENANT, TIMELINE } from './made-up-runs.ts';
import { SNAPSHOT_LSN } from './made-up-snapshot.ts';

/** Where the values of a later layer lie, and the timeline ends with it. */
export const LATER_LSN = lsn(SNAPSHOT_LSN + 0x100n);

/** Puts one delta layer on top of a made-up import, as a page server may write it. Keys ascend. */
export async function addLaterLayer(
  storage: Storage,
  values: readonly (readonly [Uint8Array, Value])[],
  changedIndex: Partial<IndexPart> = {},
): Promise<void> {
  const delta = new DeltaLayerBuilder({
    tenantId: TENANT,
    timelineId: TIMELINE,
    keyStart: KEY_MIN,
    lsnStart: lsn(SNAPSHOT_LSN + 1n),
  });
  for (const [key, value] of values) {
    delta.append({ key, lsn: LATER_LSN, value: encodeValue(value), willInit: willInit(value) });
  }
  const layer = delta.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(LATER_LSN + 1n) });
  const { index } = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
  const ids = { tenantId: TENANT, timelineId: TIMELINE, generation: 2 };
  await storage.put(layerObjectKey({ ...ids, layerName: layer.name }), Buffer.concat(layer.chunks));
  const later = {
    ...index,
    ...changedIndex,
    layers: new Map([...index.layers, [layer.name, { fileSize: layer.sizeBytes, generation: 2 }]]),
    diskConsistentLsn: LATER_LSN,
    metadata: { ...index.metadata, diskConsistentLsn: LATER_LSN },
  };
  const tenant = { tenantId: TENANT, shard: UNSHARDED };
  await storage.put(indexObjectKey({ ...ids, tenant }), encodeIndexPart(later));
}

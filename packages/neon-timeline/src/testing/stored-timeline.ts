import {
  encodeIndexPart,
  indexObjectKey,
  loadTimeline,
  type TimelineSource,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';

export const PLACE = {
  tenantId: '10101010101010101010101010101010',
  timelineId: '20202020202020202020202020202020',
} as const;

/** Stores the index of a timeline without layers. */
export async function storeIndex(
  storage: Storage,
  of: { readonly end: Lsn; readonly prevRecordLsn?: Lsn; readonly generation?: number },
): Promise<void> {
  const { end, prevRecordLsn, generation = 1 } = of;
  const tenant = { tenantId: PLACE.tenantId, shard: UNSHARDED };
  const index = encodeIndexPart({
    layers: new Map(),
    diskConsistentLsn: end,
    metadata: {
      diskConsistentLsn: end,
      prevRecordLsn,
      ancestorLsn: lsn(0n),
      latestGcCutoffLsn: end,
      initdbLsn: end,
      postgresMajor: 17,
    },
  });
  await storage.put(indexObjectKey({ tenant, timelineId: PLACE.timelineId, generation }), index);
}

export async function loadStored(storage: Storage): Promise<TimelineSource> {
  return loadTimeline(storage, { tenant: PLACE.tenantId, timelineId: PLACE.timelineId });
}

import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  encodeIndexPart,
  indexObjectKey,
  isRelationBlockKey,
  keyToHex,
  layerObjectKey,
  listTenants,
  listTimelines,
  loadTimeline,
  openTimelineView,
} from '@neon-snapshot/neon-layer';
import { decodeControlFile, type Lsn, lsn, readWalRecords } from '@neon-snapshot/postgres';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { buildDeltaLayers, MemoryTimeline, WalIngest } from '@neon-snapshot/wal-ingest';
import { walOfDirectory } from '@neon-snapshot/wal-redo';

export interface TimelineHistory {
  readonly lsnStart: Lsn;
  readonly lsnEnd: Lsn;
  readonly layers: number;
  readonly layerBytes: number;
  readonly records: number;
  /** Relation pages of which there is a value behind `lsnStart`. */
  readonly changedPages: number;
}

/** Puts the WAL that a data directory has behind the end of the bucket's only timeline into delta layers there, as a page server would. */
export async function appendWal(bucket: string, dataDirectory: string): Promise<TimelineHistory> {
  const storage = await openFsStorage({ rootPath: bucket });
  const tenant = onlyOne(await listTenants(storage));
  const { tenantId } = tenant;
  const timelineId = onlyOne(await listTimelines(storage, tenant));
  const timeline = { tenant, timelineId };
  const { index } = await loadTimeline(storage, timeline);
  const base = await openTimelineView(storage, timeline);
  const control = decodeControlFile(readFileSync(path.join(dataDirectory, 'global/pg_control')));
  const wal = walOfDirectory({
    directory: path.join(dataDirectory, 'pg_wal'),
    major: 15,
    timeLineId: control.checkPointCopy.thisTimeLineId,
    segmentSize: control.walSegmentSizeBytes,
    systemIdentifier: control.systemIdentifier,
  });
  const written = new MemoryTimeline({ base });
  const sink = written.apply;
  const ingest = await WalIngest.open({ major: 15, heapLayout: 'stock', state: written, sink });
  for (const record of readWalRecords({ ...wal, start: base.lsn })) await ingest.ingest(record);
  const lsnEnd = ingest.lastRecordLsn;
  const generation = 1 + Math.max(...[...index.layers.values()].map((layer) => layer.generation ?? 0));
  const layers = new Map(index.layers);
  let layerBytes = 0;
  const range = { lsnStart: lsn(base.lsn + 1n), lsnEnd: lsn(lsnEnd + 1n) };
  for (const layer of buildDeltaLayers(written.writes, { tenantId, timelineId, ...range })) {
    const key = layerObjectKey({ tenantId, timelineId, generation, layerName: layer.name });
    await storage.put(key, Buffer.concat(layer.chunks));
    layers.set(layer.name, { fileSize: layer.sizeBytes, generation });
    layerBytes += layer.sizeBytes;
  }
  const metadata = { ...index.metadata, diskConsistentLsn: lsnEnd };
  await storage.put(
    indexObjectKey({ tenant, timelineId, generation }),
    encodeIndexPart({ ...index, layers, diskConsistentLsn: lsnEnd, metadata }),
  );
  const changed = new Set(
    written.writes.filter(({ key }) => isRelationBlockKey(key)).map(({ key }) => keyToHex(key)),
  );
  return {
    lsnStart: base.lsn,
    lsnEnd,
    layers: layers.size - index.layers.size,
    layerBytes,
    records: written.writes.filter(({ value }) => value.kind === 'record').length,
    changedPages: changed.size,
  };
}

function onlyOne<T>(found: readonly T[]): T {
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`expected one, found ${found.length}`);
  return first;
}

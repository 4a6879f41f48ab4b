/* What lies in a bucket after pushes, and what should. */
import { auxFileKey, decodeAuxFiles, loadTimeline } from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import type { Timeline } from '../timeline/timeline.ts';
import { TENANT, TIMELINE } from './made-timeline.ts';
import type { MadeWal } from './made-wal.ts';

/** What the file of each record holds in the timeline, by its path. */
export async function filesOf(timeline: Timeline, wal: MadeWal): Promise<readonly (string | undefined)[]> {
  const values: (string | undefined)[] = [];
  for (const { path, end } of wal.records) {
    if (end > timeline.lastRecordLsn) break;
    const value = await timeline.get(auxFileKey(path), timeline.lastRecordLsn);
    const [file] = value === undefined ? [] : decodeAuxFiles(value);
    values.push(file && Buffer.from(file.content).toString());
  }
  return values;
}

/** Layers that the newest index lists and that are not there, or have another size. */
export async function missingLayers(storage: Storage): Promise<readonly string[]> {
  const source = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
  const missing: string[] = [];
  for (const { objectKey, sizeBytes } of source.layers.layers) {
    const info = await storage.head(objectKey).catch(() => undefined);
    if (info?.sizeBytes !== sizeBytes) missing.push(objectKey);
  }
  return missing;
}

/** What each record's file holds once all records are taken. */
export function newestFiles(wal: MadeWal): readonly string[] {
  const files = new Map(wal.records.map(({ path, content }) => [path, content]));
  return wal.records.map(({ path }) => files.get(path) ?? '');
}

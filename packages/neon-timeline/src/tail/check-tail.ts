import { type TimelineSource, TimelineView } from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import { isTimelineError, type TimelineError } from '../timeline-error.ts';
import { decodeTail } from './decode-tail.ts';
import { layersEndOf, loadTail, type Tail } from './load-tail.ts';
import { selectTail } from './select-tail.ts';
import { listTail } from './tail-objects.ts';

export interface CheckTailRequest {
  readonly source: TimelineSource;
  /** Whether the bytes are read and every record's CRC and links are checked, or names only. */
  readonly readsRecords: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What was found of the raw WAL behind a timeline's layers. */
export interface TailCheck {
  /** Object key of the first chunk. */
  readonly key: string;
  readonly sizeBytes: number;
  /** 0 where records were not read. */
  readonly recordCount: number;
  /** More WAL lies behind a gap: nobody sees it. */
  readonly hasGap: boolean;
  /** Why the WAL cannot be read to its end. */
  readonly fault: TimelineError | undefined;
}

/** Looks at the raw WAL of a timeline; undefined where it has none. Nothing is ingested. Throws `StorageError`. */
export async function checkTail(storage: Storage, request: CheckTailRequest): Promise<TailCheck | undefined> {
  const { source, readsRecords, signal } = request;
  const { tenant, timelineId } = source;
  if (tenant.shard.count > 1) return undefined;
  const place = { tenantId: tenant.tenantId, timelineId, signal };
  const selected = selectTail(await listTail(storage, place), layersEndOf(source));
  if (selected === undefined) return undefined;
  const { chunks, hasGap } = selected;
  const [{ key }] = chunks;
  const sizeBytes = Number(selected.end - selected.start);
  const found = { key, sizeBytes, hasGap, recordCount: 0, fault: undefined };
  if (!readsRecords) return found;
  try {
    const tail = await loadTail(storage, { ...place, source });
    return tail === undefined
      ? found
      : { ...found, recordCount: await countRecords(storage, { source, tail, signal }) };
  } catch (error) {
    if (isTimelineError(error)) return { ...found, fault: error };
    throw error;
  }
}

async function countRecords(
  storage: Storage,
  of: { readonly source: TimelineSource; readonly tail: Tail; readonly signal: AbortSignal | undefined },
): Promise<number> {
  const base = await TimelineView.open(storage, of.source, { signal: of.signal });
  try {
    const decoder = await decodeTail(base, of.tail);
    let count = 0;
    while (decoder.next() !== undefined) count++;
    return count;
  } finally {
    base.close();
  }
}

import {
  type BuiltLayer,
  type RedoFunction,
  type TimelineSource,
  TimelineView,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { buildDeltaLayers, MemoryTimeline, WalIngest } from '@neon-snapshot/wal-ingest';
import { ingestRecord } from '../wal/ingest-record.ts';
import { decodeTail } from './decode-tail.ts';
import type { Tail } from './load-tail.ts';

export interface IngestTailRequest {
  /** As its index says: the tail goes on from there. */
  readonly source: TimelineSource;
  readonly tail: Tail;
  readonly redo: RedoFunction;
  readonly signal?: AbortSignal | undefined;
}

/** What a tail adds to its timeline. */
export interface IngestedTail {
  /** End of its last whole record; the layers' own end where it has none. */
  readonly end: Lsn;
  /** Start of that record. */
  readonly prevRecordLsn: Lsn | undefined;
  /** L0 layers from the end of the others on. Empty where no record changes anything. */
  readonly layers: readonly BuiltLayer[];
}

/**
 * Makes layers of a tail, as the page server that received it will. Held in memory: the tail, its writes and the layers. Raw
 * WAL that is damaged anywhere is an error, never the end: `TIMELINE_WAL_CORRUPT`, `TIMELINE_WAL_FOREIGN`, `TIMELINE_WAL_INVALID`.
 */
export async function ingestTail(storage: Storage, request: IngestTailRequest): Promise<IngestedTail> {
  const { source, tail, redo, signal } = request;
  const { postgresMajor: major } = source.index.metadata;
  const base = await TimelineView.open(storage, source, { redo, signal });
  try {
    const timeline = new MemoryTimeline({ base, redo });
    const ingest = await WalIngest.open({
      major,
      heapLayout: 'stock',
      state: timeline,
      sink: timeline.apply,
    });
    const decoder = await decodeTail(base, tail);
    for (let record = decoder.next(); record !== undefined; record = decoder.next()) {
      signal?.throwIfAborted();
      await ingestRecord(ingest, record);
    }
    const { recordEnd: end, previousRecord: prevRecordLsn } = decoder;
    const { tenantId } = source.tenant;
    const lsnStart = lsn(base.lsn + 1n);
    const range = { tenantId, timelineId: source.timelineId, lsnStart, lsnEnd: lsn(end + 1n) };
    return { end, prevRecordLsn, layers: [...buildDeltaLayers(timeline.writes, range)] };
  } finally {
    base.close();
  }
}

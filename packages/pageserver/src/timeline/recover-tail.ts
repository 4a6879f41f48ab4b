import { hasPrevRecord, type TimelineSource } from '@neon-snapshot/neon-layer';
import {
  listTail,
  loadTail,
  putTailChunk,
  type Tail,
  type TailChunk,
  WalStreamDecoder,
} from '@neon-snapshot/neon-timeline';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ClusterFacts } from '../ingest/wal-intake.ts';
import type { LastRecord } from './timeline-types.ts';

/** The raw WAL that an earlier owner left, up to its last complete record, as it is now in the storage under the own generation. */
export interface RecoveredTail {
  readonly start: Lsn;
  /** End of the last complete record. */
  readonly end: Lsn;
  readonly bytes: Uint8Array;
  /** The last record that ends with the layers; what shows that a data directory continues the timeline. */
  readonly lastInLayers: LastRecord | undefined;
}

export interface TailFound {
  readonly tail: RecoveredTail | undefined;
  /** Everything that lies there: the own chunk, and those of earlier owners, also such as count no more. */
  readonly chunks: readonly TailChunk[];
}

export interface RecoverTailOptions {
  readonly storage: Storage;
  readonly tenantId: string;
  readonly source: TimelineSource;
  /** Of the lease that is held. */
  readonly generation: number;
  readonly readClusterFacts: () => Promise<ClusterFacts>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the raw WAL behind a timeline's layers and puts it under the own generation: from then on nothing counts that an earlier owner
 * still puts. Throws `TimelineError` where it is damaged.
 */
export async function recoverTail(options: RecoverTailOptions): Promise<TailFound> {
  const { storage, tenantId, source, generation, signal } = options;
  const place = { tenantId, timelineId: source.timelineId };
  const chunks = await listTail(storage, { ...place, signal });
  const tail = chunks.length === 0 ? undefined : await loadTail(storage, { ...place, source, signal });
  if (tail === undefined) return { tail, chunks };
  const facts = await options.readClusterFacts();
  const scanned = scanTail(tail, source, facts);
  const bytes = Buffer.concat(tail.pieces).subarray(0, Number(scanned.end - tail.start));
  if (bytes.length === 0) return { tail: undefined, chunks };
  const own = await putTailChunk(storage, { ...place, start: tail.start, bytes, generation, signal });
  return { tail: { start: tail.start, bytes, ...scanned }, chunks: [own, ...chunks] };
}

/**
 * Where the last complete record ends, and which record ends with the layers. A tail need not begin with a record: a long one was put in
 * pieces, of which the layers have made the first superfluous. So it is read from the last record in the layers on, else from their end.
 */
function scanTail(
  tail: Tail,
  source: TimelineSource,
  facts: ClusterFacts,
): Pick<RecoveredTail, 'end' | 'lastInLayers'> {
  const { metadata } = source.index;
  const { diskConsistentLsn } = metadata;
  const prevRecordLsn = hasPrevRecord(metadata) ? metadata.prevRecordLsn : undefined;
  const hasLast = prevRecordLsn !== undefined && tail.start <= prevRecordLsn;
  const start = hasLast ? prevRecordLsn : diskConsistentLsn;
  const decoder = new WalStreamDecoder({
    major: metadata.postgresMajor,
    ...facts,
    start,
    previousRecord: hasLast ? undefined : prevRecordLsn,
  });
  let lastInLayers: LastRecord | undefined;
  let skipped = Number(start - tail.start);
  for (const piece of tail.pieces) {
    const known = Math.min(skipped, piece.length);
    skipped -= known;
    decoder.push(piece.subarray(known));
    for (let record = decoder.next(); record !== undefined; record = decoder.next()) {
      const { start, end } = record;
      if (end === diskConsistentLsn) lastInLayers = { start, end, crc: decoder.lastCrc ?? 0 };
    }
  }
  return { end: lsn(decoder.recordEnd), lastInLayers };
}

import type { TimelineSource } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { TimelineError } from '../timeline-error.ts';
import { type LayersEnd, type SelectedTail, selectTail } from './select-tail.ts';
import type { TailChunk, TailPlace } from './tail-chunk.ts';
import { listTail, putTailChunk, readChunk, type TailRequest } from './tail-objects.ts';

/** A longer tail is refused: it is held in memory. */
const TAIL_BYTES_MAX = 2 * 1024 * 1024 * 1024;
const GETS_MAX = 8;
/** Each time a chunk had gone between listing and reading. */
const LISTINGS_MAX = 20;

export interface LoadTailRequest extends TailRequest {
  readonly source: TimelineSource;
}

/** The raw WAL of a timeline behind, and a little before, the end of its layers. */
export interface Tail {
  /** Of its chunks. */
  readonly generation: number;
  /** At or before the start of the last record that is in the layers, where chunks reach that far; else at or before their end. */
  readonly start: Lsn;
  /** Not before the end of the layers. Where its writers cut at records, the end of one. */
  readonly end: Lsn;
  /** The bytes [start, end), in order. */
  readonly pieces: readonly Uint8Array[];
  readonly sizeBytes: number;
  readonly chunks: readonly TailChunk[];
  /** WAL of the same generation lies behind a gap, and does not count. Or the index was older than the listing. */
  readonly hasGap: boolean;
}

/**
 * Reads the chunks that go on from a timeline's layers, see `selectTail`; undefined where there are none. A chunk that goes between
 * listing and reading is one that an index covers by then: the listing is made again. Throws `StorageError`, `TIMELINE_TAIL_CONFLICT` for
 * chunks that contradict each other, `TIMELINE_TOO_LARGE`.
 */
export async function loadTail(storage: Storage, request: LoadTailRequest): Promise<Tail | undefined> {
  const layers = layersEndOf(request.source);
  for (let left = LISTINGS_MAX; ; left--) {
    const selected = selectTail(await listTail(storage, request), layers);
    if (selected === undefined) return undefined;
    try {
      return await readTail(storage, selected, request.signal);
    } catch (error) {
      if (left <= 1 || !isStorageError(error, 'STORAGE_NOT_FOUND')) throw error;
    }
  }
}

export interface AdoptTailRequest extends TailPlace {
  readonly tail: Tail;
  /** Of the lease that is held: above the tail's. */
  readonly generation: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Puts a tail that was found under one's own generation, as one chunk. To be done by every new owner before its own index is put, and that
 * before it takes any WAL: from then on nothing counts that an earlier owner still puts.
 */
export async function adoptTail(storage: Storage, request: AdoptTailRequest): Promise<TailChunk> {
  const { tail } = request;
  return putTailChunk(storage, { ...request, start: tail.start, bytes: Buffer.concat(tail.pieces) });
}

/** Where raw WAL has to go on from. */
export function layersEndOf({ index, generation }: TimelineSource): LayersEnd {
  const { diskConsistentLsn, prevRecordLsn } = index.metadata;
  return { diskConsistentLsn, prevRecordLsn: prevRecordLsn === 0n ? undefined : prevRecordLsn, generation };
}

async function readTail(
  storage: Storage,
  selected: SelectedTail,
  signal: AbortSignal | undefined,
): Promise<Tail> {
  const { chunks, start, end, generation, hasGap } = selected;
  const stored = chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (stored > TAIL_BYTES_MAX) throw tooLarge(storage, stored);
  const pieces: Uint8Array[] = [];
  let reached = start;
  for (let at = 0; at < chunks.length; at += GETS_MAX) {
    const group = chunks.slice(at, at + GETS_MAX);
    const bodies = await Promise.all(group.map((chunk) => readChunk(storage, chunk, signal)));
    for (const [index, chunk] of group.entries()) {
      const bytes = bodies[index] ?? new Uint8Array();
      const overlap = Number(reached - chunk.start);
      assertSame(storage, { chunk, pieces, overlapping: bytes.subarray(0, overlap) });
      pieces.push(bytes.subarray(overlap));
      reached = chunk.end;
    }
  }
  return { generation, start, end, pieces, sizeBytes: Number(end - start), chunks, hasGap };
}

/** What two chunks both have is the same in both: `overlapping` are the last bytes so far. */
function assertSame(
  storage: Storage,
  at: { readonly chunk: TailChunk; readonly pieces: readonly Uint8Array[]; readonly overlapping: Uint8Array },
): void {
  let { overlapping } = at;
  for (const piece of at.pieces.toReversed()) {
    if (overlapping.length === 0) return;
    const shared = Math.min(piece.length, overlapping.length);
    const [before, again] = [
      piece.subarray(piece.length - shared),
      overlapping.subarray(overlapping.length - shared),
    ];
    if (Buffer.compare(before, again) !== 0) throw contradiction(storage, at.chunk);
    overlapping = overlapping.subarray(0, overlapping.length - shared);
  }
}

function contradiction(storage: Storage, { key, start }: TailChunk): TimelineError {
  return new TimelineError({
    code: 'TIMELINE_TAIL_CONFLICT',
    operation: 'read WAL',
    message: `${key} in ${storage.url} has other WAL from ${formatLsn(start)} on than the chunk before it`,
    context: { key, lsn: formatLsn(start) },
  });
}

function tooLarge(storage: Storage, sizeBytes: number): TimelineError {
  return new TimelineError({
    code: 'TIMELINE_TOO_LARGE',
    operation: 'read WAL',
    message: `${storage.url} holds ${sizeBytes} bytes of WAL behind the layers; at most ${TAIL_BYTES_MAX} are read`,
    context: { sizeBytes },
  });
}

import type { Lsn } from '@neon-snapshot/postgres';
import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';
import { TimelineError } from '../timeline-error.ts';
import { type LayersEnd, selectTail } from './select-tail.ts';
import { parseTailChunk, type TailChunk, type TailPlace, tailChunk, tailPrefix } from './tail-chunk.ts';

/** A larger chunk is neither put nor read. */
const TAIL_CHUNK_BYTES_MAX = 1024 * 1024 * 1024;

export interface TailRequest extends TailPlace {
  readonly signal?: AbortSignal | undefined;
}

/** All chunks of a timeline, of every generation, by first byte. Objects that are no chunks are left out. */
export async function listTail(storage: Storage, of: TailRequest): Promise<readonly TailChunk[]> {
  const chunks: TailChunk[] = [];
  for await (const page of storage.list({ prefix: tailPrefix(of), signal: of.signal })) {
    for (const { key, sizeBytes } of page.objects) {
      const chunk = parseTailChunk(key, sizeBytes);
      if (chunk !== undefined) chunks.push(chunk);
    }
  }
  return chunks;
}

/** Where a timeline ends by the names of its chunks, whose writers cut them at records; undefined where that is the end of its layers. */
export async function readTailEnd(
  storage: Storage,
  of: TailRequest & { readonly layers: LayersEnd },
): Promise<Lsn | undefined> {
  const end = selectTail(await listTail(storage, of), of.layers)?.end;
  return end === undefined || end <= of.layers.diskConsistentLsn ? undefined : end;
}

export interface PutTailChunkRequest extends TailRequest {
  /** LSN of the first byte. */
  readonly start: Lsn;
  /** Not empty; best cut where a record ends. */
  readonly bytes: Uint8Array;
  /** Of the lease that is held. */
  readonly generation: number;
}

/**
 * Puts WAL, only where nothing has its name (of a store that has conditional puts). Returns once it is durable: also where the same bytes are there already, as after a put whose
 * answer was lost. Other bytes of that name are `TIMELINE_TAIL_CONFLICT`; otherwise throws `StorageError`, and the chunk may be there
 * nevertheless. A store that may list objects late is `TIMELINE_UNSUPPORTED`. Whether the lease is still held has to be looked at afterwards, before anybody is told.
 */
export async function putTailChunk(storage: Storage, request: PutTailChunkRequest): Promise<TailChunk> {
  const { bytes, signal } = request;
  if (storage.capability.consistency === 'eventual') throw inconsistentStore(storage);
  if (bytes.length === 0 || bytes.length > TAIL_CHUNK_BYTES_MAX) throw badSize(bytes.length);
  const chunk = tailChunk(request, { ...request, sizeBytes: bytes.length });
  try {
    // Without conditions on puts, whoever writes there has vouched for being alone.
    const condition = storage.capability.conditionalPut.ifNoneMatch ? { ifNoneMatch: '*' as const } : {};
    await storage.put(chunk.key, bytes, { ...condition, sizeBytes: bytes.length, signal });
    return chunk;
  } catch (error) {
    if (!isStorageError(error, 'STORAGE_ALREADY_EXISTS')) throw error;
  }
  const stored = await readChunk(storage, chunk, signal);
  if (Buffer.compare(stored, bytes) === 0) return chunk;
  throw new TimelineError({
    code: 'TIMELINE_TAIL_CONFLICT',
    operation: 'put WAL',
    message: `${chunk.key} in ${storage.url} holds other WAL than what is to be put there`,
    context: { key: chunk.key },
  });
}

/** A chunk whole. Throws `StorageError`; of a shorter one `STORAGE_TRUNCATED`. */
export async function readChunk(
  storage: Storage,
  { key, sizeBytes }: TailChunk,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { body } = await storage.get(key, { range: { offset: 0, length: sizeBytes }, signal });
  return readAll(body, { sizeMaxBytes: sizeBytes, key });
}

/** Deletes chunks; those that are gone already are no error. */
export async function deleteTailChunks(
  storage: Storage,
  chunks: readonly TailChunk[],
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  if (chunks.length === 0) return;
  await storage.delete(
    chunks.map(({ key }) => key),
    options,
  );
}

/**
 * The chunks that nobody needs once an index of `generation` is in the bucket and its writer has seen that the lease was still held: those
 * of earlier generations, and own ones that end at or before `keepFrom`, the start of the last record that the index covers.
 */
export function obsoleteTailChunks(
  chunks: readonly TailChunk[],
  owner: { readonly generation: number; readonly keepFrom: Lsn },
): readonly TailChunk[] {
  return chunks.filter(
    ({ generation, end }) =>
      generation < owner.generation || (generation === owner.generation && end <= owner.keepFrom),
  );
}

/** There an owner's listing may lack what was acknowledged by the one before. */
function inconsistentStore({ url }: Storage): TimelineError {
  return new TimelineError({
    code: 'TIMELINE_UNSUPPORTED',
    operation: 'put WAL',
    message: `${url} may list objects late (its consistency is eventual), so WAL that is put there could be missed; use another store`,
  });
}

function badSize(sizeBytes: number): TimelineError {
  return new TimelineError({
    code: 'TIMELINE_INVALID_ARGUMENT',
    operation: 'put WAL',
    message: `A chunk of WAL has 1 to ${TAIL_CHUNK_BYTES_MAX} bytes; found ${sizeBytes}`,
    context: { sizeBytes },
  });
}

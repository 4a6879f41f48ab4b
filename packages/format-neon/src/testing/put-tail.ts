import { listTail, putTailChunk, type TailPlace, WalStreamDecoder } from '@neon-snapshot/neon-timeline';
import { type Lsn, WAL_SEGMENT_SIZE_DEFAULT } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';

/** Puts WAL as a page server does, in chunks of at least so many bytes that each end with a record. Returns where the last one ends. */
export async function putTail(
  storage: Storage,
  of: TailPlace & {
    readonly major: number;
    readonly start: Lsn;
    readonly bytes: Uint8Array;
    readonly chunkBytes: number;
    readonly generation: number;
  },
): Promise<Lsn> {
  const { major, bytes, chunkBytes } = of;
  const decoder = new WalStreamDecoder({ major, segmentSize: WAL_SEGMENT_SIZE_DEFAULT, start: of.start });
  decoder.push(bytes);
  let start = of.start;
  const put = async () => {
    const end = decoder.recordEnd;
    if (end === start) return;
    const chunk = Uint8Array.from(bytes.subarray(Number(start - of.start), Number(end - of.start)));
    await putTailChunk(storage, { ...of, start, bytes: chunk });
    start = end;
  };
  while (decoder.next() !== undefined) {
    if (decoder.recordEnd - start > chunkBytes) await put();
  }
  await put();
  return start;
}

export async function countChunks(storage: Storage, place: TailPlace): Promise<number> {
  return (await listTail(storage, place)).length;
}

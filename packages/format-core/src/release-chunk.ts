/** Below this a chunk is left to the garbage collector. */
const RELEASE_BYTES_MIN = 256 * 1024;

/** What takes a chunk's memory back, by chunk. */
const owners = new WeakMap<Uint8Array, () => void>();

/**
 * Marks a chunk whose memory its maker uses again: `reuse` is called once, when the receiver releases the chunk. A receiver that
 * keeps the chunk instead never releases it, and the memory stays its own.
 */
export function reusableChunk(chunk: Uint8Array, reuse: () => void): Uint8Array {
  owners.set(chunk, reuse);
  return chunk;
}

/**
 * Gives up a chunk of an entry's body whose bytes were copied or written: chunks belong to their receiver. Its memory goes back
 * to its maker ({@link reusableChunk}) or is freed. Left to the garbage collector, chunks of 1 MiB cost a quarter of all CPU time
 * of an import or export (measured, Node 24.21), because every 64 MiB of them cause a full collection. A chunk that is a part of
 * a larger buffer is left alone.
 */
export function releaseChunk(chunk: Uint8Array): void {
  const reuse = owners.get(chunk);
  if (reuse !== undefined) {
    owners.delete(chunk);
    reuse();
    return;
  }
  const { buffer, byteLength } = chunk;
  if (byteLength < RELEASE_BYTES_MIN || buffer.byteLength !== byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

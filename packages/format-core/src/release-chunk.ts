/** Below this a chunk is left to the garbage collector. */
const RELEASE_BYTES_MIN = 256 * 1024;

/**
 * Frees a chunk of an entry's body whose bytes were copied or written: chunks belong to their receiver. Left to the garbage
 * collector, chunks of 1 MiB cost a quarter of the main thread's time in an import or export of 600 MB (measured, Node 24.21),
 * because every 64 MiB of them cause a full collection. A chunk that is a part of a larger buffer is left alone.
 */
export function releaseChunk(chunk: Uint8Array): void {
  const { buffer, byteLength } = chunk;
  if (byteLength < RELEASE_BYTES_MIN || buffer.byteLength !== byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

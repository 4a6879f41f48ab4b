import { reusableChunk } from './release-chunk.ts';

/**
 * Buffers of one size, shared with threads, from which chunks of bodies are cut. A buffer is used again when every chunk of it
 * was released; one whose chunks are kept stays with their receiver, and a new one takes its place.
 */
export class ReusableMemory {
  readonly #sizeBytes: number;
  readonly #free: Uint8Array[] = [];

  constructor(options: { readonly sizeBytes: number }) {
    this.#sizeBytes = options.sizeBytes;
  }

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(this.#sizeBytes));
  }

  giveBack(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }

  /** Chunks of the given sizes, back to back; the buffer comes back with the last one that is released. */
  *cut(buffer: Uint8Array, sizes: readonly number[]): Generator<Uint8Array, void, undefined> {
    let held = sizes.length;
    const reuse = () => {
      held -= 1;
      if (held === 0) this.giveBack(buffer);
    };
    let start = 0;
    for (const size of sizes) {
      yield reusableChunk(buffer.subarray(start, start + size), reuse);
      start += size;
    }
  }
}

/**
 * Memory for pages by ranges of blocks. Many ranges share one array with one view, so that a page is found by arithmetic: with
 * objects of its own for each page, their loads missed the CPU's caches about as often as those of the pages.
 */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { type Bytes, moveWindow, newBytes } from '../bytes.ts';

/** Blocks that are read, kept, and given to a worker together: 256 KiB. */
export const RANGE_BLOCKS = 32;
export const RANGE_SHIFT = 5;
const RANGE_SIZE = RANGE_BLOCKS * BLCKSZ;

/** Ranges of one array: 64 MiB, of which the system gives only what is used (smaller ones make V8 collect more often). */
const CHUNK_SHIFT = 8;
const CHUNK_RANGES = 1 << CHUNK_SHIFT;

interface Chunk {
  readonly array: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

export class PageArena {
  readonly #chunks: Chunk[] = [];
  /** By slot: bit `n` for page `n`. */
  readonly #touched: number[] = [];
  readonly #free: number[] = [];
  /** The page of the last `touch`. */
  readonly #page: Bytes = newBytes(BLCKSZ);

  /** A slot for a range, all zeros. */
  allocate(): number {
    const slot = this.#free.pop() ?? this.#touched.length;
    if (slot === this.#chunks.length << CHUNK_SHIFT) {
      const array = new Uint8Array(CHUNK_RANGES * RANGE_SIZE);
      this.#chunks.push({ array, view: new DataView(array.buffer) });
    }
    this.#touched[slot] = 0;
    return slot;
  }

  free(slot: number): void {
    this.clearFrom(slot, 0);
    this.#free.push(slot);
  }

  /** Makes the pages from `first` on zeros that nobody touched. */
  clearFrom(slot: number, first: number): void {
    this.rangeBytes(slot).fill(0, first * BLCKSZ);
    this.#touched[slot] = this.touchedOf(slot) & ((1 << first) - 1);
  }

  /** A page to change, marked as touched. It is this one until the next call. */
  touch(slot: number, inRange: number): Bytes {
    this.#touched[slot] = (this.#touched[slot] as number) | (1 << inRange);
    const start = (((slot & (CHUNK_RANGES - 1)) << RANGE_SHIFT) | inRange) * BLCKSZ;
    moveWindow(this.#page, this.#chunks[slot >>> CHUNK_SHIFT] as Chunk, start);
    return this.#page;
  }

  touchedOf(slot: number): number {
    return this.#touched[slot] ?? 0;
  }

  rangeBytes(slot: number): Uint8Array<ArrayBuffer> {
    const { array } = this.#chunks[slot >>> CHUNK_SHIFT] as Chunk;
    const start = (slot & (CHUNK_RANGES - 1)) * RANGE_SIZE;
    return array.subarray(start, start + RANGE_SIZE);
  }
}

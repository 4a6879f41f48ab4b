import { crc32 } from 'node:zlib';
import { ArchiveError } from './archive-error.ts';
import type { CompressionKind } from './compression.ts';
import type { FrameThreads } from './frame-threads.ts';
import { encodeSeekTable, type SeekTableEntry } from './seek-table.ts';

export interface FramedStreamOptions {
  /** Absent: the bytes go through as they are. */
  readonly compression?: CompressionKind | undefined;
  /** gzip 0 to 9 (default 6), zstd -7 to 22 (default 3); lz4 has none. */
  readonly level?: number | undefined;
  readonly threads: FrameThreads;
}

/** Bytes that are compressed at once: larger pieces compress no better (measured with pages of tables), smaller ones worse. */
const PIECE_SIZE_BYTES = 1024 * 1024;

interface Piece {
  readonly bytes: Uint8Array;
  /** The piece was read: its memory may be used again. */
  release(): void;
}

/**
 * A stream that one side writes and another reads, compressed in threads on the way: zstd and lz4 as a frame for each MiB, gzip as
 * one member. zstd gets a seek table at its end (`contrib/seekable_format` of zstd), which every decoder skips. Bounded: a
 * writer waits while `2 × threads + 2` pieces are under way. Both sides may be abandoned: `fail` for the writer, `return` for the reader.
 */
export class FramedStream {
  readonly #options: FramedStreamOptions;
  readonly #pieceCountMax: number;
  readonly #queue: Promise<Piece>[] = [];
  readonly #free: Uint8Array[] = [];
  readonly #frames: SeekTableEntry[] = [];
  #slab: Uint8Array | undefined;
  #used = 0;
  #crc = 0;
  #sizeBytes = 0;
  #state: 'open' | 'ended' | 'abandoned' = 'open';
  #failure: unknown;
  #wake: (() => void)[] = [];

  constructor(options: FramedStreamOptions) {
    this.#options = options;
    this.#pieceCountMax = 2 * options.threads.count + 2;
    if (options.compression === 'gzip') this.#queue.push(Promise.resolve(plainPiece(gzipHeader())));
  }

  /** Copies the bytes in; returns when there is room for more. Rejects with `ARCHIVE_ABORTED` when the reader has gone. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#slab === undefined) {
        await this.#untilRoom();
        this.#slab = this.#free.pop() ?? new Uint8Array(PIECE_SIZE_BYTES);
      }
      const part = rest.subarray(0, PIECE_SIZE_BYTES - this.#used);
      this.#slab.set(part, this.#used);
      this.#used += part.length;
      rest = rest.subarray(part.length);
      if (this.#used === PIECE_SIZE_BYTES) this.#push(false);
    }
  }

  /** No more bytes will come. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#slab ??= new Uint8Array(0);
    this.#push(true);
    this.#state = 'ended';
    this.#notify();
  }

  /** The reader gets this error, now or as soon as it asks; who waits for room does not wait for a reader that may never come. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#notify();
  }

  /** What was written, compressed. Each chunk is valid until the next one is asked for. May be iterated once. */
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        const piece = this.#queue.shift();
        if (piece !== undefined) {
          this.#notify();
          const { bytes, release } = await piece;
          yield bytes;
          release();
        } else if (this.#state === 'ended') break;
        else await this.#change();
      }
      yield* this.#trailer();
    } finally {
      this.#state = 'abandoned';
      this.#notify();
    }
  }

  /** What the format puts behind the last piece. */
  *#trailer(): Generator<Uint8Array, void, void> {
    const { compression } = this.#options;
    if (compression === 'zstd') yield encodeSeekTable(this.#frames);
    if (compression === 'gzip') yield gzipTrailer(this.#crc, this.#sizeBytes);
  }

  async #untilRoom(): Promise<void> {
    const isOpen = () => this.#state === 'open' && this.#failure === undefined;
    while (isOpen() && this.#queue.length >= this.#pieceCountMax) await this.#change();
    if (isOpen()) return;
    throw new ArchiveError({
      code: 'ARCHIVE_ABORTED',
      operation: 'write stream',
      message: 'the stream was closed by its reader, or given up',
      cause: this.#failure,
    });
  }

  #push(isLast: boolean): void {
    const slab = this.#slab ?? new Uint8Array(0);
    const bytes = slab.subarray(0, this.#used);
    this.#slab = undefined;
    this.#used = 0;
    if (bytes.length === 0 && this.#options.compression !== 'gzip') return;
    const piece = this.#pieceOf(bytes, isLast);
    // The reader meets the error; until then it must not count as unhandled.
    piece.catch(() => undefined);
    this.#queue.push(piece);
    this.#notify();
  }

  async #pieceOf(bytes: Uint8Array, isLast: boolean): Promise<Piece> {
    const { compression, level, threads } = this.#options;
    if (compression === undefined) return { bytes, release: () => this.#reuse(bytes) };
    if (compression === 'gzip') {
      this.#crc = crc32(bytes, this.#crc);
      this.#sizeBytes += bytes.length;
    }
    // The order of the calls is the order of the frames; only their ends come in any order.
    const entry = { compressedBytes: 0, decompressedBytes: bytes.length };
    this.#frames.push(entry);
    const { made, bytes: read } = await threads.run({ kind: compression, level, bytes, isLast });
    this.#reuse(read);
    entry.compressedBytes = made.length;
    return { bytes: made, release: () => void (made.buffer as ArrayBuffer).transfer(0) };
  }

  #reuse({ buffer }: Uint8Array): void {
    if (buffer.byteLength === PIECE_SIZE_BYTES) this.#free.push(new Uint8Array(buffer));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

function plainPiece(bytes: Uint8Array): Piece {
  return { bytes, release: () => undefined };
}

/** RFC 1952, section 2.3: deflate, no flags, no time, system 3 (Unix). */
function gzipHeader(): Uint8Array {
  return Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
}

function gzipTrailer(crc: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, crc, true);
  view.setUint32(4, sizeBytes % 2 ** 32, true);
  return bytes;
}

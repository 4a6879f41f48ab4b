import { ArchiveError, throwIfAborted } from './archive-error.ts';

const EMPTY = new Uint8Array(0);

/** Reads exact lengths from a stream of chunks of any size, without copying bodies. */
export class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #operation: string;
  readonly #signal: AbortSignal | undefined;
  readonly #freesChunks: boolean;
  /** Its last view was given out by the call before. */
  #spent: Uint8Array | undefined;
  #chunk: Uint8Array = EMPTY;
  #offset = 0;
  #consumed = 0;

  constructor(
    stream: AsyncIterable<Uint8Array>,
    options: {
      readonly operation: string;
      readonly signal?: AbortSignal | undefined;
      /** Free large chunks as soon as the view behind their last one is asked for. */
      readonly freesChunks?: boolean;
    },
  ) {
    this.#iterator = stream[Symbol.asyncIterator]();
    this.#operation = options.operation;
    this.#signal = options.signal;
    this.#freesChunks = options.freesChunks ?? false;
  }

  /** Bytes taken so far: where the next one stands in the stream. */
  get position(): number {
    return this.#consumed;
  }

  /** At least one byte and at most `sizeMaxBytes`, as a view of the stream's own chunk; undefined at the end. */
  async take(sizeMaxBytes: number): Promise<Uint8Array | undefined> {
    if (this.#spent !== undefined) freeChunk(this.#spent);
    this.#spent = undefined;
    while (this.#offset === this.#chunk.length) {
      throwIfAborted(this.#signal, this.#operation);
      const next = await this.#iterator.next();
      if (next.done) return undefined;
      this.#chunk = next.value;
      this.#offset = 0;
    }
    const view = this.#chunk.subarray(this.#offset, this.#offset + sizeMaxBytes);
    this.#offset += view.length;
    this.#consumed += view.length;
    if (this.#offset === this.#chunk.length) {
      // Its last view may be all of it, and belongs to the receiver, who may detach it.
      if (this.#freesChunks) this.#spent = this.#chunk;
      this.#chunk = EMPTY;
      this.#offset = 0;
    }
    return view;
  }

  /** Exactly `sizeBytes` in one piece, which the caller has bounded; undefined at a clean end. Throws `ARCHIVE_TRUNCATED`. */
  async takeExactly(sizeBytes: number, what: string): Promise<Uint8Array | undefined> {
    const first = await this.take(sizeBytes);
    if (first === undefined || first.length === sizeBytes) return first;
    const whole = new Uint8Array(sizeBytes);
    whole.set(first);
    for (let filled = first.length; filled < sizeBytes; ) {
      const more = await this.take(sizeBytes - filled);
      if (more === undefined) throw this.truncated(what, { expected: sizeBytes, found: filled });
      whole.set(more, filled);
      filled += more.length;
    }
    return whole;
  }

  truncated(what: string, sizes: { readonly expected: number; readonly found: number }): ArchiveError {
    return new ArchiveError({
      code: 'ARCHIVE_TRUNCATED',
      operation: this.#operation,
      message: `${this.#operation}: the stream ends after ${this.#consumed} bytes, inside ${what} (expected ${sizes.expected} bytes, found ${sizes.found})`,
      context: { position: this.#consumed, ...sizes },
    });
  }

  /** Lets the stream release what it holds. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}

/** Left to the garbage collector, chunks of a MiB cause a full collection for every 64 of them (measured, Node 24.21). */
const FREE_BYTES_MIN = 256 * 1024;

/** A decoder cuts its buffers from front to back: whoever has read the end of one has read all of it. */
function freeChunk({ buffer, byteOffset, byteLength }: Uint8Array): void {
  if (buffer.byteLength < FREE_BYTES_MIN || byteOffset + byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

import { FormatError } from '@neon-snapshot/format-core';

/** Reads exact lengths from the chunks of a body. */
export class ChunkReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #path: string;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(body: AsyncIterable<Uint8Array>, options: { readonly path: string }) {
    this.#iterator = body[Symbol.asyncIterator]();
    this.#path = options.path;
  }

  /** A copy of the next bytes. `FORMAT_TRUNCATED` where the body ends before. */
  async take(sizeBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(sizeBytes);
    let filled = 0;
    while (filled < sizeBytes) {
      if (this.#chunk.length === 0) await this.#next();
      const part = this.#chunk.subarray(0, sizeBytes - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return bytes;
  }

  /** To be called at the end of the body, so that whoever checks it gets there too. */
  async end(): Promise<void> {
    const { done } = await this.#iterator.next();
    if (this.#chunk.length > 0 || done !== true) throw this.#error('goes on after its last block');
  }

  async #next(): Promise<void> {
    const { done, value } = await this.#iterator.next();
    if (done === true) throw this.#error('ends before its last block');
    this.#chunk = value;
  }

  #error(what: string): FormatError {
    return new FormatError({
      code: 'FORMAT_TRUNCATED',
      operation: 'read incremental file',
      message: `${this.#path} ${what}; the backup is damaged`,
      context: { path: this.#path },
    });
  }
}

/** Bytes that come in pieces and go in pieces of other sizes. Pieces are kept by reference until they are used up. */
export class ByteQueue {
  /** The piece to read next, and where in it. Empty where there is nothing. */
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  readonly #later: Uint8Array[] = [];

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    // As a plain array: with Node's Buffer a part costs several times as much.
    const plain =
      bytes.constructor === Uint8Array
        ? bytes
        : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.offset < this.bytes.length) {
      this.#later.push(plain);
      return;
    }
    this.bytes = plain;
    this.offset = 0;
  }

  /** Bytes of the current piece that are left; 0 only where there are none at all. */
  get available(): number {
    return this.bytes.length - this.offset;
  }

  /** The next bytes, at most so many and at most what is left of the piece: a view. */
  take(countMax: number): Uint8Array {
    const end = Math.min(this.offset + countMax, this.bytes.length);
    const part = this.bytes.subarray(this.offset, end);
    this.advance(part.length);
    return part;
  }

  /** Goes on by `count` bytes, no more than are available. */
  advance(count: number): void {
    this.offset += count;
    if (this.offset < this.bytes.length) return;
    this.bytes = this.#later.shift() ?? new Uint8Array(0);
    this.offset = 0;
  }
}

/** A bounds-checked cursor over the little-endian structures of a record's main data. */
export class MainDataReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fail: (reason: string) => never;
  #offset = 0;

  /** `fail` throws the error of the record that the bytes are from. */
  constructor(bytes: Uint8Array, fail: (reason: string) => never) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fail = fail;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A C string: the bytes up to a NUL, which is passed too. */
  skipString(): void {
    const end = this.#bytes.indexOf(0, this.#offset);
    if (end < 0) this.#fail('a string does not end');
    this.#offset = end + 1;
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** A signed 32-bit count of items of `itemSize` bytes, checked against what is left. */
  count(itemSize: number): number {
    const count = this.i32();
    if (count < 0 || count * itemSize > this.remaining) {
      this.#fail(`a count of ${count} items does not fit the ${this.remaining} bytes left`);
    }
    return count;
  }

  /** Fails for this record. */
  fail(reason: string): never {
    return this.#fail(reason);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) {
      this.#fail(`main data of ${this.#bytes.length} bytes ends before byte ${start + length}`);
    }
    this.#offset = start + length;
    return start;
  }
}

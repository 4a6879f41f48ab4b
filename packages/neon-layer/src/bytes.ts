import { NeonLayerError } from './layer-error.ts';

/*
 * "bincode BE": fixed-width integers, big endian; struct = fields in order; enum = u32 variant index; sequence = u64 count,
 * then items; Option = 1 byte, then the value. Decoders reject trailing bytes.
 */

/** A bounds-checked cursor over big-endian bytes; every fault is `NEON_LAYER_INVALID_VALUE` naming `what`. */
export class BeReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  readonly #sharesBytes: boolean;
  #offset = 0;

  /** `sharesBytes`: parts are views, not copies. */
  constructor(bytes: Uint8Array, what: string, sharesBytes = false) {
    this.#sharesBytes = sharesBytes;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8));
  }

  /** A bool byte; anything but 0 and 1 is a fault. */
  bool(): boolean {
    const value = this.u8();
    if (value > 1) this.fail(`expected 0 or 1 at byte ${this.#offset - 1}, found ${value}`);
    return value === 1;
  }

  /** A copy of the next `length` bytes, or a view where bytes are shared. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    if (this.#sharesBytes) return this.#bytes.subarray(start, start + length);
    return Uint8Array.prototype.slice.call(this.#bytes, start, start + length);
  }

  /** A u64 count of items that take at least `itemSizeMin` bytes each, checked against what is left. */
  count(itemSizeMin: number): number {
    const value = this.u64();
    if (value > BigInt(Math.floor(this.remaining / itemSizeMin))) {
      this.fail(`a count of ${value} items does not fit the ${this.remaining} bytes left`);
    }
    return Number(value);
  }

  /** A u64 length, then UTF-8. */
  string(): string {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(this.bytes(this.count(1)));
    } catch (cause) {
      if (cause instanceof NeonLayerError) throw cause;
      return this.fail('text is not UTF-8');
    }
  }

  option<T>(read: () => T): T | undefined {
    return this.bool() ? read() : undefined;
  }

  /** Nothing may follow. */
  end(): void {
    if (this.remaining > 0) this.fail(`${this.remaining} bytes follow the end`);
  }

  fail(reason: string): never {
    throw new NeonLayerError({
      code: 'NEON_LAYER_INVALID_VALUE',
      operation: 'decode',
      message: `${this.#what} of ${this.#bytes.length} bytes is not valid: ${reason}.`,
      context: { what: this.#what, sizeBytes: this.#bytes.length, offset: this.#offset },
    });
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) {
      this.fail(`${length} bytes expected at byte ${start}, ${this.#bytes.length - start} left`);
    }
    this.#offset = start + length;
    return start;
  }
}

/** Writes big-endian fields into a growing buffer. */
export class BeWriter {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  u8(value: number): this {
    const offset = this.#grow(1);
    this.#view.setUint8(offset, value);
    return this;
  }

  u16(value: number): this {
    const offset = this.#grow(2);
    this.#view.setUint16(offset, value);
    return this;
  }

  u32(value: number): this {
    const offset = this.#grow(4);
    this.#view.setUint32(offset, value);
    return this;
  }

  u64(value: bigint | number): this {
    const offset = this.#grow(8);
    this.#view.setBigUint64(offset, BigInt(value));
    return this;
  }

  i64(value: bigint): this {
    const offset = this.#grow(8);
    this.#view.setBigInt64(offset, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const offset = this.#grow(value.length);
    this.#bytes.set(value, offset);
    return this;
  }

  /** The bytes so far, as a copy of exactly their size. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Makes room; returns where it starts. Replaces buffer and view, so call it before touching either. */
  #grow(length: number): number {
    const start = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return start;
  }
}

/** Byte order of two strings of bytes: negative, 0, positive; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Lower-case hex digits of the bytes. */
export function bytesToHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of an even number of hex digits of either case; undefined where the text is anything else. */
export function hexToBytes(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

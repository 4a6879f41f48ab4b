/** Records that are made anew lie in arrays of this size: an array for each costs more than making it. */
const SLAB_BYTES = 256 * 1024;
/** Up to here a loop is faster than a view and its copy. */
const LOOP_BYTES_MAX = 160;

let slab = new Uint8Array(0);
let used = 0;

/** Writes one record after the other, each in a place of its own that is never written again. */
export class RecordWriter {
  #bytes: Uint8Array = slab;
  #start = 0;
  #at = 0;

  /** Bytes of the record so far. */
  get length(): number {
    return this.#at - this.#start;
  }

  /** Begins a record of at most `sizeMax` bytes. */
  begin(sizeMax: number): void {
    if (sizeMax > slab.length - used) {
      slab = new Uint8Array(Math.max(SLAB_BYTES, sizeMax));
      used = 0;
    }
    this.#bytes = slab;
    this.#start = used;
    this.#at = used;
  }

  /** Appends a part of other bytes. */
  copy(from: Uint8Array, start: number, end: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    if (end - start > LOOP_BYTES_MAX) {
      bytes.set(from.subarray(start, end), at);
      this.#at = at + end - start;
      return;
    }
    for (let i = start; i < end; i += 1, at += 1) bytes[at] = from[i] as number;
    this.#at = at;
  }

  zeros(count: number): void {
    // What a record that was given up left there.
    const end = this.#at + count;
    for (; this.#at < end; this.#at += 1) this.#bytes[this.#at] = 0;
  }

  byte(value: number): void {
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  /** Clears bits of a byte that was written, counted from the record's start. */
  clear(offset: number, bits: number): void {
    const at = this.#start + offset;
    this.#bytes[at] = (this.#bytes[at] as number) & ~bits;
  }

  /** Sets bytes that were written, little-endian. */
  setU16(offset: number, value: number): void {
    const at = this.#start + offset;
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
  }

  setU32(offset: number, value: number): void {
    this.setU16(offset, value);
    this.setU16(offset + 2, value >>> 16);
  }

  /** Ends the record: a view. */
  finish(): Uint8Array {
    used = this.#at;
    return this.#bytes.subarray(this.#start, this.#at);
  }
}

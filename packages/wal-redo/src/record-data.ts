import { type ByteRange, type Bytes, f64, newBytes, u8, u16, u32 } from './bytes.ts';
import { invalidRecord } from './redo-fault.ts';

/** A part of a record (main data, or the data of a block); reads outside it are REDO_INVALID_RECORD. Reused. */
export class RecordData implements ByteRange {
  bytes: Bytes = newBytes(0);
  start = 0;
  length = 0;

  reset(bytes: Bytes, start: number, length: number): void {
    this.bytes = bytes;
    this.start = start;
    this.length = length;
  }

  u8(at: number): number {
    return u8(this.bytes, this.place(at, 1));
  }

  u16(at: number): number {
    return u16(this.bytes, this.place(at, 2));
  }

  u32(at: number): number {
    return u32(this.bytes, this.place(at, 4));
  }

  i8(at: number): number {
    return (this.u8(at) << 24) >> 24;
  }

  i32(at: number): number {
    return this.u32(at) | 0;
  }

  f64(at: number): number {
    return f64(this.bytes, this.place(at, 8));
  }

  bool(at: number): boolean {
    return this.u8(at) !== 0;
  }

  /** A block number stored as `BlockIdData`: two u16, the high one first. */
  blockId(at: number): number {
    return this.u16(at) * 0x10000 + this.u16(at + 2);
  }

  /** Where `length` bytes at `at` of this part lie in `bytes`. */
  place(at: number, length: number): number {
    if (at < 0 || length < 0 || at + length > this.length) {
      throw invalidRecord(`${length} bytes at ${at} are outside the ${this.length} bytes of record data`);
    }
    return this.start + at;
  }

  /** `length` bytes at `at`, as a range. */
  range(at: number, length: number): ByteRange {
    return { bytes: this.bytes, start: this.place(at, length), length };
  }

  /** `count` offset numbers at `at`. */
  offsets(at: number, count: number): number[] {
    this.place(at, 2 * count);
    const list: number[] = [];
    for (let index = 0; index < count; index++) list.push(this.u16(at + 2 * index));
    return list;
  }
}

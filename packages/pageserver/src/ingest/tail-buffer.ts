import { type Lsn, lsn } from '@neon-snapshot/postgres';

/** Raw WAL stream bytes that begin at an LSN. */
export interface TailPart {
  readonly start: Lsn;
  readonly end: Lsn;
  readonly bytes: Uint8Array;
}

/** Raw WAL that is not in the storage yet: pieces as they came, by reference. */
export class TailBuffer {
  #pieces: Uint8Array[] = [];
  #start: Lsn;
  #end: Lsn;

  constructor(start: Lsn) {
    this.#start = start;
    this.#end = start;
  }

  get start(): Lsn {
    return this.#start;
  }

  get end(): Lsn {
    return this.#end;
  }

  get sizeBytes(): number {
    return Number(this.#end - this.#start);
  }

  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#end = lsn(this.#end + BigInt(bytes.length));
  }

  /** The bytes from `start` up to `end`, both in the buffer; they stay in it. */
  read(start: Lsn, end: Lsn): TailPart {
    // What is not there would be zeros in the storage, and believed.
    if (start < this.#start || end > this.#end || start > end)
      throw new RangeError(
        `WAL from ${start} to ${end} is not in the buffer from ${this.#start} to ${this.#end}`,
      );
    const bytes = new Uint8Array(Number(end - start));
    // Where the piece lies, seen from the first byte wanted.
    let at = Number(this.#start - start);
    for (const piece of this.#pieces) {
      if (at >= bytes.length) break;
      const part = piece.subarray(Math.max(0, -at), Math.max(0, bytes.length - at));
      if (part.length > 0) bytes.set(part, Math.max(0, at));
      at += piece.length;
    }
    return { start, end, bytes };
  }

  /** Forgets what lies before `start`. */
  discard(start: Lsn): void {
    if (start <= this.#start) return;
    let drop = Number((start < this.#end ? start : this.#end) - this.#start);
    let count = 0;
    for (const piece of this.#pieces) {
      if (piece.length > drop) break;
      drop -= piece.length;
      count += 1;
    }
    this.#pieces.splice(0, count);
    const [first] = this.#pieces;
    if (first !== undefined && drop > 0) this.#pieces[0] = first.subarray(drop);
    this.#start = start;
    if (this.#end < start) this.#end = start;
  }

  /** Forgets what lies behind `end`: it will be received again. */
  truncate(end: Lsn): void {
    if (end >= this.#end) return;
    if (end <= this.#start) {
      this.#pieces = [];
      this.#end = this.#start;
      return;
    }
    let excess = Number(this.#end - end);
    for (let last = this.#pieces.at(-1); last !== undefined && excess > 0; last = this.#pieces.at(-1)) {
      this.#pieces.pop();
      if (last.length > excess) this.#pieces.push(last.subarray(0, last.length - excess));
      excess -= Math.min(excess, last.length);
    }
    this.#end = end;
  }
}

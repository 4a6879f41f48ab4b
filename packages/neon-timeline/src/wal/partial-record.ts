import { decodeXLogRecordHeader, type Lsn, WAL_RECORD_HEADER_SIZE } from '@neon-snapshot/postgres';

const LENGTH_SIZE = 4;

/** A WAL record as its parts arrive, without page headers. */
export class PartialRecord {
  /** LSN. */
  readonly start: number;
  length = 0;
  /** Undefined until its four bytes are there. */
  totalLength: number | undefined;
  readonly #parts: Uint8Array[] = [];
  #isLinkTaken = false;

  constructor(start: number) {
    this.start = start;
  }

  append(part: Uint8Array): void {
    this.#parts.push(part);
    this.length += part.length;
    if (this.totalLength !== undefined || this.length < LENGTH_SIZE) return;
    this.totalLength = new DataView(this.#head(LENGTH_SIZE).buffer).getUint32(0, true);
  }

  /** The link to the record before: once, as soon as it is there. */
  takePrevious(): Lsn | undefined {
    if (this.#isLinkTaken || this.length < WAL_RECORD_HEADER_SIZE) return undefined;
    this.#isLinkTaken = true;
    return decodeXLogRecordHeader(this.#head(WAL_RECORD_HEADER_SIZE)).previous;
  }

  /** The bytes so far: a view where they came as one part. */
  join(): Uint8Array {
    const [first] = this.#parts;
    return first !== undefined && this.#parts.length === 1 ? first : this.#head(this.length);
  }

  #head(size: number): Uint8Array<ArrayBuffer> {
    const head = new Uint8Array(size);
    let offset = 0;
    for (const part of this.#parts) {
      if (offset === size) break;
      const used = part.subarray(0, size - offset);
      head.set(used, offset);
      offset += used.length;
    }
    return head;
  }
}

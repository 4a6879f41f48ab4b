/* WAL of Postgres 17 that no server wrote: every record puts a small file into the timeline, as Neon's computes do. */
import {
  encodeWalPageHeader,
  encodeWalRecord,
  type Lsn,
  lsn,
  RESOURCE_MANAGER,
  WAL_PAGE_FLAG,
  WAL_PAGE_SIZE,
  walPageHeaderSize,
} from '@neon-snapshot/postgres';

export const MADE_MAJOR = 17;
export const MADE_SEGMENT_SIZE: number = 16 * 1024 * 1024;
export const MADE_SYSTEM_IDENTIFIER = 7_306_539_954_587_820_903n;
const MAGIC = 0xd116;

export interface MadeRecord {
  readonly start: Lsn;
  readonly end: Lsn;
  readonly path: string;
  readonly content: string;
}

/** A run of WAL as a walsender sends it. */
export class MadeWal {
  readonly start: Lsn;
  readonly records: MadeRecord[] = [];
  #bytes = new Uint8Array(4096);
  #length = 0;
  #previous: Lsn;

  constructor(start: Lsn, previous: Lsn = lsn(0n)) {
    this.start = start;
    this.#previous = previous;
  }

  /** The place of the next byte. */
  get end(): Lsn {
    return lsn(this.start + BigInt(this.#length));
  }

  /** The bytes from a place on; a copy. */
  bytesFrom(from: Lsn, to: Lsn = this.end): Uint8Array {
    return this.#bytes.slice(Number(from - this.start), Number(to - this.start));
  }

  /** A record that makes `path` hold `content`. */
  putFile(path: string, content: string): MadeRecord {
    const [prefix, message] = [Buffer.from(`neon-file:${path}\0`), Buffer.from(content)];
    const main = Buffer.alloc(24 + prefix.length + message.length);
    main.writeBigUInt64LE(BigInt(prefix.length), 8);
    main.writeBigUInt64LE(BigInt(message.length), 16);
    prefix.copy(main, 24);
    message.copy(main, 24 + prefix.length);
    const head = main.length < 256 ? Buffer.from([255, main.length]) : Buffer.from([254, 0, 0, 0, 0]);
    if (main.length >= 256) head.writeUInt32LE(main.length, 1);
    const previous = this.#previous;
    const header = { xid: 0, previous, info: 0, resourceManager: RESOURCE_MANAGER.logicalMessage };
    const { start, end } = this.#write(encodeWalRecord(header, Buffer.concat([head, main])));
    const record = { start, end, path, content };
    this.records.push(record);
    return record;
  }

  #write(record: Uint8Array): { readonly start: Lsn; readonly end: Lsn } {
    this.#beginPage(0, 0);
    const start = this.end;
    for (let at = 0; at < record.length; ) {
      this.#beginPage(WAL_PAGE_FLAG.firstIsContinuation, record.length - at);
      const part = record.subarray(at, at + WAL_PAGE_SIZE - (Number(this.end) % WAL_PAGE_SIZE));
      this.#append(part);
      at += part.length;
    }
    this.#append(new Uint8Array(Number((8n - (this.end % 8n)) % 8n)));
    this.#previous = start;
    return { start, end: this.end };
  }

  /** Writes a page header where one belongs. */
  #beginPage(flags: number, remainingLength: number): void {
    const pageAddress = this.end;
    if (pageAddress % BigInt(WAL_PAGE_SIZE) !== 0n) return;
    const isFirst = pageAddress % BigInt(MADE_SEGMENT_SIZE) === 0n;
    const header = { magic: MAGIC, timeLineId: 1, pageAddress, remainingLength };
    const segment = {
      systemIdentifier: MADE_SYSTEM_IDENTIFIER,
      segmentSize: MADE_SEGMENT_SIZE,
      blockSize: WAL_PAGE_SIZE,
    };
    const bytes = new Uint8Array(walPageHeaderSize(pageAddress, MADE_SEGMENT_SIZE));
    if (isFirst) encodeWalPageHeader({ ...header, flags: flags | WAL_PAGE_FLAG.longHeader, segment }, bytes);
    else encodeWalPageHeader({ ...header, flags }, bytes);
    this.#append(bytes);
  }

  #append(part: Uint8Array): void {
    if (this.#length + part.length > this.#bytes.length) {
      const larger = new Uint8Array((this.#length + part.length) * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
  }
}

/* WAL of Postgres 17 that no server wrote: records that change nothing, with true headers, links and CRCs. */
import {
  encodeWalPageHeader,
  encodeWalRecord,
  type Lsn,
  lsn,
  RESOURCE_MANAGER,
  WAL_PAGE_FLAG,
  WAL_PAGE_SIZE,
  type WalRecord,
  walPageHeaderSize,
  XLOG_INFO,
} from '@neon-snapshot/postgres';

export const MADE_MAJOR = 17;
export const MADE_SEGMENT_SIZE: number = 1024 * 1024;
export const MADE_SYSTEM_IDENTIFIER = 7_306_539_954_587_820_903n;
const MAGIC = 0xd116;
const XLOG_NOOP = 0x20;
/** `XLR_BLOCK_ID_DATA_SHORT` */
const SHORT_MAIN_DATA = 255;

type MadeRecord = Pick<WalRecord, 'start' | 'end' | 'bytes'>;

export class MadeWal {
  readonly start: Lsn;
  readonly records: MadeRecord[] = [];
  readonly #bytes: number[] = [];
  #previous: Lsn;

  /** `start`: the first byte. At a page's start the page header comes first. */
  constructor(start: Lsn, previous: Lsn = lsn(0n)) {
    this.start = start;
    this.#previous = previous;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** The place of the next byte. */
  get end(): Lsn {
    return lsn(this.start + BigInt(this.#bytes.length));
  }

  get previous(): Lsn {
    return this.#previous;
  }

  /** A record that does nothing, of a size. */
  append(sizeBytes = 64): MadeRecord {
    return this.#write(encodeNoop(this.#previous, sizeBytes));
  }

  /** The record that ends the base backup that began at an LSN. */
  appendBackupEnd(began: Lsn): MadeRecord {
    const previous = this.#previous;
    const content = new Uint8Array(10);
    content.set([SHORT_MAIN_DATA, 8]);
    new DataView(content.buffer).setBigUint64(2, began, true);
    const resourceManager = RESOURCE_MANAGER.xlog;
    return this.#write(
      encodeWalRecord({ xid: 0, previous, info: XLOG_INFO.backupEnd, resourceManager }, content),
    );
  }

  /** A switch to the next segment, the rest of this one included. */
  appendSwitch(): MadeRecord {
    const previous = this.#previous;
    const written = this.#write(
      encodeWalRecord(
        { xid: 0, previous, info: XLOG_INFO.switch, resourceManager: RESOURCE_MANAGER.xlog },
        new Uint8Array(),
      ),
    );
    const rest = (MADE_SEGMENT_SIZE - (Number(this.end) % MADE_SEGMENT_SIZE)) % MADE_SEGMENT_SIZE;
    for (let count = 0; count < rest; count++) this.#bytes.push(0);
    const record = { ...written, end: this.end };
    this.records[this.records.length - 1] = record;
    return record;
  }

  /** The part on its first page of a record that the server did not live to finish, and the page header that says so. */
  giveUp(): void {
    this.#beginPage(0, 0);
    const room = WAL_PAGE_SIZE - (Number(this.end) % WAL_PAGE_SIZE);
    const record = encodeNoop(this.#previous, room + 100);
    this.#bytes.push(...record.subarray(0, room));
    this.#beginPage(WAL_PAGE_FLAG.firstIsOverwriteContinuation, 0);
  }

  #write(record: Uint8Array): MadeRecord {
    this.#beginPage(0, 0);
    const start = this.end;
    for (let at = 0; at < record.length; ) {
      const rest = record.length - at;
      this.#beginPage(WAL_PAGE_FLAG.firstIsContinuation, rest);
      const part = record.subarray(at, at + WAL_PAGE_SIZE - (Number(this.end) % WAL_PAGE_SIZE));
      this.#bytes.push(...part);
      at += part.length;
    }
    while (this.end % 8n !== 0n) this.#bytes.push(0);
    this.#previous = start;
    const made = { start, end: this.end, bytes: record };
    this.records.push(made);
    return made;
  }

  /** Writes a page header where one belongs. */
  #beginPage(flags: number, remainingLength: number): void {
    const pageAddress = this.end;
    if (pageAddress % BigInt(WAL_PAGE_SIZE) !== 0n) return;
    const size = walPageHeaderSize(pageAddress, MADE_SEGMENT_SIZE);
    const isFirst = pageAddress % BigInt(MADE_SEGMENT_SIZE) === 0n;
    const header = { magic: MAGIC, timeLineId: 1, pageAddress, remainingLength };
    const segment = {
      systemIdentifier: MADE_SYSTEM_IDENTIFIER,
      segmentSize: MADE_SEGMENT_SIZE,
      blockSize: WAL_PAGE_SIZE,
    };
    const bytes = new Uint8Array(size);
    if (isFirst) encodeWalPageHeader({ ...header, flags: flags | WAL_PAGE_FLAG.longHeader, segment }, bytes);
    else encodeWalPageHeader({ ...header, flags }, bytes);
    this.#bytes.push(...bytes);
  }
}

function encodeNoop(previous: Lsn, sizeBytes: number): Uint8Array {
  const content = Uint8Array.from({ length: sizeBytes - 24 }, (_, index) => (index * 7) & 0xff);
  const resourceManager = RESOURCE_MANAGER.xlog;
  return encodeWalRecord({ xid: 0, previous, info: XLOG_NOOP, resourceManager }, content);
}

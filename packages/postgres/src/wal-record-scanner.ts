/** Records of WAL for hot loops: as `readWalRecords`, but without an object for each. */
import { type Lsn, lsn } from './lsn.ts';
import { WAL_PAGE_SIZE } from './wal-page.ts';
import { judgeEnd, type ReadWalRecordsOptions, type WalEnd } from './wal-reader.ts';
import { WAL_RECORD_CRC_OFFSET, walRecordCrcAt } from './wal-record-crc.ts';
import { RecordCursor } from './wal-record-cursor.ts';
import { WAL_RECORD_HEADER_SIZE } from './wal-record-header.ts';
import { RESOURCE_MANAGER, RESOURCE_MANAGER_INFO_MASK, XLOG_INFO } from './wal-resource-manager.ts';

export interface ScanWalRecordsOptions extends ReadWalRecordsOptions {
  /**
   * Check the CRC of the records that start on every `count`th page only, from `index` on: for `count` threads that
   * scan the same WAL and between them check all. Where a thread finds a bad one, WAL ends for all of them.
   */
  readonly crcShare?: { readonly index: number; readonly count: number };
}

const TWO_32 = 2 ** 32;

/** Enough for most records with page images. */
const JOINED_SIZE = 64 * 1024;

/**
 * After `next()` gave true, a record of `length` bytes lies at `offset` of `bytes`, until the next call. `start` and
 * `end` are LSNs as numbers (exact below 2^53, as all are below 9 PB of WAL; beyond, `next` throws RangeError).
 */
export class WalRecordScanner {
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;
  start = 0;
  end: number;
  readonly #options: ScanWalRecordsOptions;
  readonly #cursor: RecordCursor;
  readonly #stopBefore: number;
  readonly #crcShare: { readonly index: number; readonly count: number };
  /** The segment that holds `end`, where it starts, and the page in it whose header is known to be right. */
  #segment: Uint8Array = new Uint8Array(0);
  #segmentStart = 0;
  #pageStart = -1;
  #walEnd: WalEnd | undefined;

  constructor(options: ScanWalRecordsOptions) {
    this.#options = options;
    this.#cursor = new RecordCursor(options, new Uint8Array(JOINED_SIZE));
    this.#stopBefore = options.end === undefined ? Number.POSITIVE_INFINITY : exact(options.end);
    this.#crcShare = options.crcShare ?? { index: 0, count: 1 };
    this.end = exact(options.start);
  }

  /** Why `next` gave false. */
  get walEnd(): WalEnd | undefined {
    return this.#walEnd;
  }

  /** Goes to the next record; false at the end of WAL. Throws what `readWalRecords` throws. */
  next(): boolean {
    return this.#nextOnPage() || this.#nextAnywhere();
  }

  /** The usual case: the record lies on one page, which one before it lay on. Anything else is left to the cursor. */
  #nextOnPage(): boolean {
    const position = this.end;
    const inPage = position - this.#pageStart;
    if (inPage <= 0 || inPage > WAL_PAGE_SIZE - WAL_RECORD_HEADER_SIZE || position >= this.#stopBefore)
      return false;
    const bytes = this.#segment;
    const offset = position - this.#segmentStart;
    const length = u32(bytes, offset);
    if (length < WAL_RECORD_HEADER_SIZE || inPage + length > WAL_PAGE_SIZE) return false;
    if (u32(bytes, offset + 12) * TWO_32 + u32(bytes, offset + 8) !== this.start) return false;
    if (isSwitch(bytes, offset) || !this.#isCrcAccepted(bytes, offset, length)) return false;
    this.bytes = bytes;
    this.offset = offset;
    this.length = length;
    this.start = position;
    this.end = position + ((length + 7) & ~7);
    return true;
  }

  #isCrcAccepted(bytes: Uint8Array, offset: number, length: number): boolean {
    const { index, count } = this.#crcShare;
    if (count > 1 && (this.#pageStart / WAL_PAGE_SIZE) % count !== index) return true;
    return walRecordCrcAt(bytes, offset, length) === u32(bytes, offset + WAL_RECORD_CRC_OFFSET);
  }

  #nextAnywhere(): boolean {
    if (this.#walEnd !== undefined) return false;
    const isFirst = this.#pageStart < 0;
    let position = lsn(BigInt(this.end));
    if (isFirst) {
      const first = this.#cursor.findRecord(position);
      if (first.kind === 'fault')
        return this.#stop(judgeEnd(this.#cursor, { position, fault: first.fault, end: this.#options.end }));
      position = first.start;
    }
    const previous = isFirst ? undefined : lsn(BigInt(this.start));
    for (;;) {
      if (position >= this.#stopBefore) {
        return this.#stop({ lsn: position, reason: 'reached', detail: 'end of the asked-for range' });
      }
      const result = this.#cursor.readRecord(position, previous);
      if (result.kind === 'fault') {
        return this.#stop(judgeEnd(this.#cursor, { position, fault: result.fault, end: this.#options.end }));
      }
      if (result.kind === 'record') {
        this.#accept(result.record);
        return true;
      }
      position = result.next;
    }
  }

  #accept(record: { readonly bytes: Uint8Array; readonly start: Lsn; readonly end: Lsn }): void {
    this.bytes = record.bytes;
    this.offset = 0;
    this.length = record.bytes.length;
    this.start = exact(record.start);
    this.end = exact(record.end);
    // The cursor saw the page that the record ends on, unless it ends with it.
    const inPage = this.end % WAL_PAGE_SIZE;
    this.#pageStart = this.end - inPage;
    if (inPage === 0) return;
    const { segmentSize } = this.#options;
    this.#segment = this.#cursor.segmentAt(record.end) ?? this.#segment;
    this.#segmentStart = this.end - (this.end % segmentSize);
  }

  #stop(end: WalEnd): false {
    this.#walEnd = end;
    return false;
  }
}

/** Of places that are known to be inside. */
function u32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
  return ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | high) >>> 0;
}

function isSwitch(bytes: Uint8Array, offset: number): boolean {
  return (
    bytes[offset + 17] === RESOURCE_MANAGER.xlog &&
    ((bytes[offset + 16] as number) & RESOURCE_MANAGER_INFO_MASK) === XLOG_INFO.switch
  );
}

function exact(position: Lsn): number {
  const value = Number(position);
  if (!Number.isSafeInteger(value)) throw new RangeError(`LSN ${position} is too great for a scan`);
  return value;
}

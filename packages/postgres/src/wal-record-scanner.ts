/** Records of WAL for hot loops: as `readWalRecords`, but without an object for each. */
import { type Lsn, lsn } from './lsn.ts';
import { WAL_PAGE_FLAG, WAL_PAGE_SIZE, WAL_SHORT_HEADER_SIZE, walPageMagic } from './wal-page.ts';
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
const NO_BYTES = new Uint8Array(0);

/** Enough for most records with page images. */
const JOINED_SIZE = 64 * 1024;

/**
 * After `next()` gave true, a record of `length` bytes lies at `offset` of `bytes`, until the next call. `start` and
 * `end` are LSNs as numbers (exact below 2^53, as all are below 9 PB of WAL; beyond, `next` throws RangeError).
 */
export class WalRecordScanner {
  bytes: Uint8Array = NO_BYTES;
  offset = 0;
  length = 0;
  start = 0;
  end: number;
  readonly #options: ScanWalRecordsOptions;
  readonly #cursor: RecordCursor;
  readonly #stopBefore: number;
  readonly #magic: number;
  /** Where records of more than one page are put together, each over the one before. */
  readonly #joined = new Uint8Array(JOINED_SIZE);
  readonly #joinedView: DataView = new DataView(this.#joined.buffer);
  /** The segment that holds `end`, where it starts, and the page in it whose header is known to be right. */
  #segment: Uint8Array = NO_BYTES;
  #view: DataView = new DataView(NO_BYTES.buffer);
  #segmentStart = 0;
  #pageStart = -1;
  /** The segment before: the last record may lie in it. */
  #segmentBefore: Uint8Array = NO_BYTES;
  /** The CRCs of this page's records are in our share. */
  #checksPage = true;
  #walEnd: WalEnd | undefined;

  constructor(options: ScanWalRecordsOptions) {
    this.#options = options;
    this.#cursor = new RecordCursor(options, this.#joined);
    this.#stopBefore = options.end === undefined ? Number.POSITIVE_INFINITY : exact(options.end);
    this.#magic = walPageMagic(options.major);
    this.end = exact(options.start);
  }

  /** Why `next` gave false. */
  get walEnd(): WalEnd | undefined {
    return this.#walEnd;
  }

  /** Goes to the next record; false at the end of WAL. Throws what `readWalRecords` throws. */
  next(): boolean {
    return this.#nextOnPage() || this.#nextInSegment() || this.#nextAnywhere();
  }

  /** The usual case: the record lies on the page of the one before. */
  #nextOnPage(): boolean {
    const position = this.end;
    const inPage = position - this.#pageStart;
    if (inPage <= 0 || inPage > WAL_PAGE_SIZE - WAL_RECORD_HEADER_SIZE || position >= this.#stopBefore)
      return false;
    const offset = position - this.#segmentStart;
    const length = this.#view.getUint32(offset, true);
    if (length < WAL_RECORD_HEADER_SIZE || inPage + length > WAL_PAGE_SIZE) return false;
    if (!this.#isSound(this.#view, offset, this.#checksPage ? length : 0)) return false;
    this.#take(this.#segment, offset, length);
    this.start = position;
    this.end = position + ((length + 7) & ~7);
    return true;
  }

  /** The record begins a page, or goes on over the following ones of the same segment. Anything odd is left to the cursor. */
  #nextInSegment(): boolean {
    let start = this.end;
    if (this.#pageStart < 0 || this.#walEnd !== undefined || start >= this.#stopBefore) return false;
    if (start % WAL_PAGE_SIZE === 0) {
      if (!this.#enterPage(start, 0)) return false;
      start += WAL_SHORT_HEADER_SIZE;
    }
    const offset = start - this.#segmentStart;
    const length = this.#view.getUint32(offset, true);
    if (length < WAL_RECORD_HEADER_SIZE || length > JOINED_SIZE) return false;
    const crcLength = this.#checksPage ? length : 0;
    const isOnPage = start + length <= this.#pageStart + WAL_PAGE_SIZE;
    const end = isOnPage ? start + length : this.#join(offset, length);
    const view = isOnPage ? this.#view : this.#joinedView;
    if (end === undefined || !this.#isSound(view, isOnPage ? offset : 0, crcLength)) return false;
    if (isOnPage) this.#take(this.#segment, offset, length);
    else this.#take(this.#joined, 0, length);
    this.start = start;
    this.end = Math.ceil(end / 8) * 8;
    return true;
  }

  /** Puts a record together that starts on the current page; gives where it ends, on the page that is the current one then. */
  #join(offset: number, length: number): number | undefined {
    let end = this.#pageStart + WAL_PAGE_SIZE;
    let done = end - this.#segmentStart - offset;
    this.#joined.set(this.#segment.subarray(offset, offset + done));
    while (done < length) {
      if (!this.#enterPage(end, length - done)) return undefined;
      const part = Math.min(length - done, WAL_PAGE_SIZE - WAL_SHORT_HEADER_SIZE);
      const from = end + WAL_SHORT_HEADER_SIZE - this.#segmentStart;
      this.#joined.set(this.#segment.subarray(from, from + part), done);
      done += part;
      end += WAL_SHORT_HEADER_SIZE + part;
    }
    return end;
  }

  /** Goes to the page at an address; false for another segment's, or where its header is not the usual one before `rest` continued bytes. */
  #enterPage(address: number, rest: number): boolean {
    const offset = address - this.#segmentStart;
    const view = this.#view;
    // The first page of a segment has a long header, which the cursor checks.
    if (offset <= 0 || offset + WAL_PAGE_SIZE > view.byteLength) return false;
    const flags = view.getUint16(offset + 2, true) & ~WAL_PAGE_FLAG.backupRemovable;
    if (view.getUint16(offset, true) !== this.#magic) return false;
    if (flags !== (rest === 0 ? 0 : WAL_PAGE_FLAG.firstIsContinuation)) return false;
    if (lsnAt(view, offset + 8) !== address) return false;
    if (rest !== 0 && view.getUint32(offset + 16, true) !== rest) return false;
    this.#setPage(address);
    return true;
  }

  #setPage(address: number): void {
    this.#pageStart = address;
    const { index, count } = this.#options.crcShare ?? WHOLE;
    this.#checksPage = (address / WAL_PAGE_SIZE) % count === index;
  }

  /** True when a record is linked to the one before, is no switch, and its CRC (of `crcLength` bytes, 0: not ours) is right. */
  #isSound(view: DataView, offset: number, crcLength: number): boolean {
    if (lsnAt(view, offset + 8) !== this.start || isSwitch(view, offset)) return false;
    return (
      crcLength === 0 ||
      walRecordCrcAt(view, offset, crcLength) === view.getUint32(offset + WAL_RECORD_CRC_OFFSET, true)
    );
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
    this.#take(record.bytes, 0, record.bytes.length);
    this.start = exact(record.start);
    this.end = exact(record.end);
    // The cursor saw the page that the record ends on, unless it ends with it.
    const inPage = this.end % WAL_PAGE_SIZE;
    this.#setPage(this.end - inPage);
    if (inPage === 0) return;
    const segment = this.#cursor.segmentAt(record.end) ?? this.#segment;
    this.#segmentStart = this.end - (this.end % this.#options.segmentSize);
    if (segment !== this.#segment) this.#setSegment(segment);
  }

  #setSegment(segment: Uint8Array): void {
    if (this.#segmentBefore !== NO_BYTES) this.#options.recycle?.(this.#segmentBefore);
    this.#segmentBefore = this.#segment;
    this.#segment = segment;
    this.#view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  }

  #take(bytes: Uint8Array, offset: number, length: number): void {
    this.bytes = bytes;
    this.offset = offset;
    this.length = length;
  }

  #stop(end: WalEnd): false {
    this.#walEnd = end;
    return false;
  }
}

const WHOLE = { index: 0, count: 1 };

function lsnAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * TWO_32 + view.getUint32(offset, true);
}

function isSwitch(view: DataView, offset: number): boolean {
  return (
    view.getUint8(offset + 17) === RESOURCE_MANAGER.xlog &&
    (view.getUint8(offset + 16) & RESOURCE_MANAGER_INFO_MASK) === XLOG_INFO.switch
  );
}

function exact(position: Lsn): number {
  const value = Number(position);
  if (!Number.isSafeInteger(value)) throw new RangeError(`LSN ${position} is too great for a scan`);
  return value;
}

import { alignLsn, formatLsn, type Lsn, lsn } from './lsn.ts';
import {
  decodeWalPageHeader,
  findWalPageFault,
  WAL_PAGE_FLAG,
  WAL_PAGE_SIZE,
  type WalPageHeader,
  walPageHeaderSize,
} from './wal-page.ts';
import {
  decodeXLogRecordHeader,
  WAL_RECORD_HEADER_SIZE,
  WAL_RECORD_SIZE_MAX,
  walRecordCrc,
  type XLogRecordHeader,
} from './wal-record-header.ts';
import { RESOURCE_MANAGER, RESOURCE_MANAGER_INFO_MASK, XLOG_INFO } from './wal-resource-manager.ts';
import { walSegmentNumber } from './wal-segment-name.ts';

/** Where WAL comes from. */
export interface WalSource {
  readonly major: number;
  readonly segmentSize: number;
  /** Checked on every long page header where given. */
  readonly systemIdentifier?: bigint;
  /** A segment's bytes (whole pages; may be cut short), or `undefined` where there are none. Called once per move. */
  readonly segment: (segno: number) => Uint8Array | undefined;
  /** Takes back what `segment` gave, to use it for another one. Only a reader that hands out no views of it may do so. */
  readonly recycle?: (segment: Uint8Array) => void;
}

export interface WalRecord {
  readonly start: Lsn;
  /**
   * Where the next record starts, before any page header: a multiple of 8, a page boundary itself where the record ends
   * there, the next segment's start after a switch. Neon stores values at this LSN.
   */
  readonly end: Lsn;
  /** Of the page on which the record starts. */
  readonly timeLineId: number;
  /** The whole record without page headers, CRC checked. A view of the segment where it lies on one page. */
  readonly bytes: Uint8Array;
}

/** Why no record could be read at a place. */
export interface WalFault {
  readonly kind:
    | 'zeros'
    | 'stale-page'
    | 'invalid-page'
    | 'foreign-page'
    | 'invalid-record'
    | 'bad-crc'
    | 'no-continuation'
    | 'no-segment';
  readonly detail: string;
}

type Fault = { readonly kind: 'fault'; readonly fault: WalFault };
type ReadResult =
  | { readonly kind: 'record'; readonly record: WalRecord }
  /** The record was given up by the server; reading goes on at `next`. */
  | { readonly kind: 'skip'; readonly next: Lsn }
  | Fault;

interface Page {
  readonly kind: 'page';
  readonly address: Lsn;
  readonly header: WalPageHeader;
  readonly headerSize: number;
  readonly bytes: Uint8Array;
}

/** How far behind a fault a newer record is looked for: 4 segments of 16 MiB. */
const SEARCH_PAGES_MAX = 8192;

/** No server ever gets here; below it no address that is computed from one passes 64 bits. */
const ADDRESS_MAX = (1n << 64n) - (1n << 32n);

/** Reads single records of a {@link WalSource} at given places. */
export class RecordCursor {
  readonly #source: WalSource;
  #segno = -1;
  #segment: Uint8Array | undefined;
  #lastPage: Page | undefined;

  readonly #joined: Uint8Array | undefined;

  /** `joined`: where short enough records of more than one page are put together, each over the one before. */
  constructor(source: WalSource, joined?: Uint8Array) {
    this.#source = source;
    this.#joined = joined;
  }

  /** The first record at or after `position`, which is a record's start or a page's. */
  findRecord(position: Lsn): { readonly kind: 'found'; readonly start: Lsn } | Fault {
    if (position % BigInt(WAL_PAGE_SIZE) !== 0n) return { kind: 'found', start: position };
    let address = position;
    for (;;) {
      const page = this.#page(address);
      if (page.kind === 'fault') return page;
      const rest = continuedLength(page);
      if (rest <= WAL_PAGE_SIZE - page.headerSize) {
        return { kind: 'found', start: alignLsn(lsn(address + BigInt(page.headerSize + rest))) };
      }
      address = lsn(address + BigInt(WAL_PAGE_SIZE));
    }
  }

  /** Reads the record at `position` (a page start: after the header). `previous`: the link it has to have. */
  readRecord(position: Lsn, previous?: Lsn): ReadResult {
    const inPage = Number(position % BigInt(WAL_PAGE_SIZE));
    const page = this.#page(lsn(position - BigInt(inPage)));
    if (page.kind === 'fault') return page;
    if (inPage === 0 && (page.header.flags & WAL_PAGE_FLAG.firstIsContinuation) !== 0) {
      return fault('invalid-page', `page ${formatLsn(position)} continues a record that ended before it`);
    }
    if (inPage % 8 !== 0 || (inPage !== 0 && inPage < page.headerSize)) {
      return fault('invalid-record', `no record can start at ${formatLsn(position)}`);
    }
    const offset = Math.max(inPage, page.headerSize);
    const start = lsn(page.address + BigInt(offset));
    const totalLength = new DataView(page.bytes.buffer, page.bytes.byteOffset + offset).getUint32(0, true);
    if (totalLength === 0) return fault('zeros', `record length at ${formatLsn(start)} is 0`);
    if (totalLength < WAL_RECORD_HEADER_SIZE || totalLength > WAL_RECORD_SIZE_MAX) {
      return fault('invalid-record', `record length at ${formatLsn(start)} is ${totalLength}`);
    }
    const gathered = this.#gather({ page, offset, totalLength, start, previous });
    if (gathered.kind !== 'gathered') return gathered;
    return this.#finish({ ...gathered, start, timeLineId: page.header.timeLineId, previous });
  }

  /** Start of a valid record after the fault at `position` that is newer than it, if the source has one. */
  findLaterRecord(position: Lsn): Lsn | undefined {
    const adjacent = this.#adjacentRecord(position);
    if (adjacent !== undefined) return adjacent;
    let address = lsn(position - (position % BigInt(WAL_PAGE_SIZE)));
    for (let pages = 0; pages < SEARCH_PAGES_MAX && address <= ADDRESS_MAX; pages++) {
      address = lsn(address + BigInt(WAL_PAGE_SIZE));
      if (this.segmentAt(address) === undefined) return undefined;
      const page = this.#page(address);
      if (page.kind === 'fault' || continuedLength(page) > WAL_PAGE_SIZE - page.headerSize) continue;
      const start = alignLsn(lsn(address + BigInt(page.headerSize + continuedLength(page))));
      if (this.#isNewerRecord(start, position)) return start;
    }
    return undefined;
  }

  /** The record behind the one at `position`, if that one's length still tells where. */
  #adjacentRecord(position: Lsn): Lsn | undefined {
    const inPage = Number(position % BigInt(WAL_PAGE_SIZE));
    const page = this.#page(lsn(position - BigInt(inPage)));
    if (page.kind === 'fault') return undefined;
    const offset = Math.max(inPage, page.headerSize);
    const totalLength = new DataView(page.bytes.buffer, page.bytes.byteOffset + offset).getUint32(0, true);
    if (inPage % 8 !== 0 || totalLength === 0 || offset + totalLength >= WAL_PAGE_SIZE) return undefined;
    const next = alignLsn(lsn(page.address + BigInt(offset + totalLength)));
    return this.#isNewerRecord(next, position) ? next : undefined;
  }

  #isNewerRecord(start: Lsn, than: Lsn): boolean {
    const result = this.readRecord(start);
    return result.kind === 'record' && decodeXLogRecordHeader(result.record.bytes).previous >= than;
  }

  /** Collects the record's bytes over its pages; nothing of its length is allocated before all pages were seen. */
  #gather(at: {
    readonly page: Page;
    readonly offset: number;
    readonly totalLength: number;
    readonly start: Lsn;
    readonly previous: Lsn | undefined;
  }):
    | { readonly kind: 'gathered'; readonly bytes: Uint8Array; readonly end: Lsn }
    | Exclude<ReadResult, { kind: 'record' }> {
    const parts = [at.page.bytes.subarray(at.offset, at.offset + at.totalLength)];
    let length = parts[0]?.length ?? 0;
    let end = lsn(at.start + BigInt(length));
    if (length >= WAL_RECORD_HEADER_SIZE) {
      const problem = findHeaderFault(decodeXLogRecordHeader(at.page.bytes.subarray(at.offset)), at);
      if (problem !== undefined) return fault('invalid-record', problem);
    }
    while (length < at.totalLength) {
      const page = this.#page(end);
      if (page.kind === 'fault') return page;
      if ((page.header.flags & WAL_PAGE_FLAG.firstIsOverwriteContinuation) !== 0) {
        return { kind: 'skip', next: end };
      }
      const rest = at.totalLength - length;
      if (continuedLength(page) !== rest) {
        const detail = `page ${formatLsn(end)} continues ${continuedLength(page)} bytes; expected ${rest}`;
        return fault('no-continuation', detail);
      }
      const part = page.bytes.subarray(page.headerSize, page.headerSize + rest);
      parts.push(part);
      length += part.length;
      end = lsn(end + BigInt(page.headerSize + part.length));
    }
    return { kind: 'gathered', bytes: joinParts(parts, at.totalLength, this.#joined), end };
  }

  #finish(record: {
    readonly bytes: Uint8Array;
    readonly start: Lsn;
    readonly end: Lsn;
    readonly timeLineId: number;
    readonly previous: Lsn | undefined;
  }): ReadResult {
    const { bytes, start, timeLineId } = record;
    const header = decodeXLogRecordHeader(bytes);
    const problem = findHeaderFault(header, record);
    if (problem !== undefined) return fault('invalid-record', problem);
    if (walRecordCrc(bytes) !== header.crc) {
      return fault('bad-crc', `CRC of the record at ${formatLsn(start)} is wrong`);
    }
    const end = isSwitch(header) ? this.#nextSegment(record.end) : alignLsn(record.end);
    return { kind: 'record', record: { start, end, timeLineId, bytes } };
  }

  #nextSegment(end: Lsn): Lsn {
    const size = BigInt(this.#source.segmentSize);
    return lsn(((end + size - 1n) / size) * size);
  }

  #page(address: Lsn): Page | Fault {
    if (this.#lastPage?.address === address) return this.#lastPage;
    const segment = this.segmentAt(address);
    const offset = Number(address % BigInt(this.#source.segmentSize));
    if (segment === undefined || offset + WAL_PAGE_SIZE > segment.length || address > ADDRESS_MAX) {
      return fault('no-segment', `there is no WAL at ${formatLsn(address)}`);
    }
    const bytes = segment.subarray(offset, offset + WAL_PAGE_SIZE);
    const header = decodeWalPageHeader(bytes);
    const problem = findWalPageFault(header, { ...this.#source, pageAddress: address });
    if (problem !== undefined) return fault(problem.kind, `page ${formatLsn(address)}: ${problem.detail}`);
    const headerSize = walPageHeaderSize(address, this.#source.segmentSize);
    this.#lastPage = { kind: 'page', address, header, headerSize, bytes };
    return this.#lastPage;
  }

  /** The segment that holds a position; the same array until another is asked for. */
  segmentAt(position: Lsn): Uint8Array | undefined {
    const segno = walSegmentNumber(position, this.#source.segmentSize);
    if (segno !== this.#segno) {
      // As a plain array: with Node's Buffer a part costs several times as much, and `slice` would not copy.
      this.#segment = plainBytes(this.#source.segment(segno));
      this.#segno = segno;
    }
    return this.#segment;
  }
}

function plainBytes(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined || bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function continuedLength(page: Page): number {
  return (page.header.flags & WAL_PAGE_FLAG.firstIsContinuation) === 0 ? 0 : page.header.remainingLength;
}

function findHeaderFault(
  header: XLogRecordHeader,
  at: { readonly start: Lsn; readonly previous: Lsn | undefined },
): string | undefined {
  const isLinked = at.previous === undefined ? header.previous < at.start : header.previous === at.previous;
  if (isLinked) return undefined;
  const expected = at.previous === undefined ? `less than ${formatLsn(at.start)}` : formatLsn(at.previous);
  return `record at ${formatLsn(at.start)} links back to ${formatLsn(header.previous)}; expected ${expected}`;
}

function isSwitch(header: XLogRecordHeader): boolean {
  return (
    header.resourceManager === RESOURCE_MANAGER.xlog &&
    (header.info & RESOURCE_MANAGER_INFO_MASK) === XLOG_INFO.switch
  );
}

function joinParts(parts: readonly Uint8Array[], totalLength: number, into?: Uint8Array): Uint8Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const isShort = into !== undefined && totalLength <= into.length;
  const joined = isShort ? into.subarray(0, totalLength) : new Uint8Array(totalLength);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

function fault(kind: WalFault['kind'], detail: string): Fault {
  return { kind: 'fault', fault: { kind, detail } };
}

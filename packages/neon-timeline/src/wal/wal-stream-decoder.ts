/**
 * Records of WAL that comes in pieces of any size, as a walsender sends it: page headers included, from any place where a
 * record may start. The same records, checks and LSNs as `readWalRecords`; but a stream has no end to be guessed: what is
 * not whole yet is waited for, and everything wrong is damage.
 */
import {
  alignLsn,
  assertWalSegmentSize,
  decodeWalPageHeader,
  decodeXLogRecordHeader,
  findWalPageFault,
  formatLsn,
  type Lsn,
  lsn,
  RESOURCE_MANAGER,
  RESOURCE_MANAGER_INFO_MASK,
  WAL_LONG_HEADER_SIZE,
  WAL_PAGE_FLAG,
  WAL_PAGE_SIZE,
  WAL_RECORD_HEADER_SIZE,
  WAL_RECORD_SIZE_MAX,
  WAL_SHORT_HEADER_SIZE,
  type WalPageHeader,
  type WalRecord,
  walRecordCrc,
  XLOG_INFO,
} from '@neon-snapshot/postgres';
import { TimelineError, type TimelineErrorCode } from '../timeline-error.ts';
import { ByteQueue } from './byte-queue.ts';
import { PartialRecord } from './partial-record.ts';

export interface WalStreamDecoderOptions {
  /** 14 to 18: of the page headers. */
  readonly major: number;
  /** Checked on every long page header where given. */
  readonly systemIdentifier?: bigint | undefined;
  readonly segmentSize: number;
  /** Where the first byte lies: the start of a record, or of a page that begins with one. */
  readonly start: Lsn;
  /** Start of the record before: the first one has to link to it. Not known: undefined or 0. */
  readonly previousRecord?: Lsn | undefined;
}

/** `bytes` is CRC checked and without page headers; a view of what was pushed where the record lies on one page of one piece. */
export type StreamedWalRecord = Pick<WalRecord, 'start' | 'end' | 'bytes'>;

const TWO_32 = 2 ** 32;
const CRC_OFFSET = 20;

/** After an error the decoder throws that error for ever. Holds pushed pieces until their records are taken. */
export class WalStreamDecoder {
  readonly #options: WalStreamDecoderOptions;
  readonly #queue = new ByteQueue();
  /** LSN of the queue's next byte, and of the end of all bytes. As numbers: exact below 2^53, checked at the start. */
  #at: number;
  #position: number;
  /** Bytes up to the end of the page; 0 where the next bytes are a page header. */
  #pageRest: number;
  #partial: PartialRecord | undefined;
  readonly #header = new Uint8Array(WAL_LONG_HEADER_SIZE);
  #headerLength = 0;
  /** A record whose bytes are whole, but not the padding behind it. */
  #padded: { readonly record: StreamedWalRecord; readonly end: number } | undefined;
  /** Start of the last record; -1 for one that is not known. */
  #previous: number;
  #recordEnd: number;
  #crc: number | undefined;
  #failure: TimelineError | undefined;

  /** Throws `TIMELINE_INVALID_ARGUMENT`, `POSTGRES_OUT_OF_RANGE` for the segment size. */
  constructor(options: WalStreamDecoderOptions) {
    assertWalSegmentSize(options.segmentSize);
    this.#options = options;
    this.#at = exact(options.start);
    if (this.#at % 8 !== 0) {
      throw invalidArgument(`No WAL record can start at ${formatLsn(options.start)}: it is no multiple of 8`);
    }
    this.#position = this.#at;
    this.#recordEnd = this.#at;
    this.#pageRest = (WAL_PAGE_SIZE - (this.#at % WAL_PAGE_SIZE)) % WAL_PAGE_SIZE;
    const { previousRecord = 0n } = options;
    this.#previous = previousRecord === 0n ? -1 : exact(lsn(previousRecord));
  }

  /** Where the next pushed byte belongs. */
  get position(): Lsn {
    return lsn(BigInt(this.#position));
  }

  /** End of the last record that `next` gave; where decoding began before there was one. */
  get recordEnd(): Lsn {
    return lsn(BigInt(this.#recordEnd));
  }

  /** Start of the last record that `next` gave, or the one that was said to lie before the first; undefined: not known. */
  get previousRecord(): Lsn | undefined {
    return this.#previous < 0 ? undefined : lsn(BigInt(this.#previous));
  }

  /** CRC of the last record that `next` gave. */
  get lastCrc(): number | undefined {
    return this.#crc;
  }

  /** Adds the stream's next bytes. They must not change until the records in them are no longer used. */
  push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#position += bytes.length;
  }

  /** The next whole record (its padding to a multiple of 8 and a switch's rest of segment have come too), if there is one. */
  next(): StreamedWalRecord | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#nextOnPage() ?? this.#nextInPieces();
  }

  /** The usual case: the record lies on one page and in one piece. Anything else, faults too, is left to the other way. */
  #nextOnPage(): StreamedWalRecord | undefined {
    const { bytes, offset } = this.#queue;
    const room = Math.min(this.#pageRest, bytes.length - offset);
    if (room < WAL_RECORD_HEADER_SIZE || this.#partial !== undefined || this.#padded !== undefined)
      return undefined;
    const length = u32(bytes, offset);
    const paddedLength = (length + 7) & ~7;
    if (length < WAL_RECORD_HEADER_SIZE || length > room || paddedLength > room) return undefined;
    const previous = u32(bytes, offset + 12) * TWO_32 + u32(bytes, offset + 8);
    if (previous !== this.#previous || isSwitch(bytes, offset)) return undefined;
    const record = bytes.subarray(offset, offset + length);
    const crc = u32(bytes, offset + CRC_OFFSET);
    if (walRecordCrc(record) !== crc) return undefined;
    const start = this.#at;
    this.#advance(paddedLength);
    this.#previous = start;
    this.#recordEnd = this.#at;
    this.#crc = crc;
    return { start: BigInt(start) as Lsn, end: BigInt(this.#at) as Lsn, bytes: record };
  }

  #nextInPieces(): StreamedWalRecord | undefined {
    for (;;) {
      if (this.#padded !== undefined) return this.#takePadded(this.#padded);
      if (this.#queue.available === 0) return undefined;
      if (this.#pageRest === 0) this.#readPageHeader();
      else this.#readRecordPart();
    }
  }

  #readRecordPart(): void {
    this.#partial ??= new PartialRecord(this.#at);
    const record = this.#partial;
    const { bytes, offset, available } = this.#queue;
    // The length is looked at before anything is taken, so that a record in one piece stays one.
    if (record.length === 0 && available >= 4) record.totalLength = u32(bytes, offset);
    const known = record.totalLength;
    if (known !== undefined) this.#assertLength(record, known);
    const part = this.#queue.take(Math.min((known ?? 4) - record.length, this.#pageRest));
    this.#at += part.length;
    this.#pageRest -= part.length;
    record.append(part);
    if (record.totalLength === undefined) return;
    this.#assertLength(record, record.totalLength);
    this.#assertLink(record);
    if (record.length === record.totalLength) this.#finish(record);
  }

  #finish(partial: PartialRecord): void {
    const bytes = partial.join();
    const start = lsn(BigInt(partial.start));
    const { crc } = decodeXLogRecordHeader(bytes);
    if (walRecordCrc(bytes) !== crc)
      this.#fail('bad-crc', `CRC of the record at ${formatLsn(start)} is wrong`);
    const here = BigInt(this.#at);
    const segmentSize = BigInt(this.#options.segmentSize);
    const end = isSwitch(bytes, 0)
      ? lsn(((here + segmentSize - 1n) / segmentSize) * segmentSize)
      : alignLsn(lsn(here));
    this.#partial = undefined;
    this.#padded = { record: { start, end, bytes }, end: exact(end) };
  }

  /** Drops what lies between a record's bytes and its end; gives the record once all of that has come. */
  #takePadded({ record, end }: { readonly record: StreamedWalRecord; readonly end: number }) {
    while (this.#at < end && this.#queue.available > 0) {
      const count = Math.min(end - this.#at, this.#queue.available);
      this.#queue.advance(count);
      this.#at += count;
    }
    if (this.#at < end) return undefined;
    this.#pageRest = (WAL_PAGE_SIZE - (end % WAL_PAGE_SIZE)) % WAL_PAGE_SIZE;
    this.#padded = undefined;
    this.#previous = Number(record.start);
    this.#recordEnd = end;
    this.#crc = u32(record.bytes, CRC_OFFSET);
    return record;
  }

  #readPageHeader(): void {
    const address = this.#at - this.#headerLength;
    const size = address % this.#options.segmentSize === 0 ? WAL_LONG_HEADER_SIZE : WAL_SHORT_HEADER_SIZE;
    const part = this.#queue.take(size - this.#headerLength);
    this.#header.set(part, this.#headerLength);
    this.#headerLength += part.length;
    this.#at += part.length;
    if (this.#headerLength < size) return;
    this.#headerLength = 0;
    this.#pageRest = WAL_PAGE_SIZE - size;
    this.#acceptPage(lsn(BigInt(address)), size);
  }

  #acceptPage(pageAddress: Lsn, size: number): void {
    const isLong = (this.#header[2] as number) & WAL_PAGE_FLAG.longHeader;
    if (isLong !== 0 && size < WAL_LONG_HEADER_SIZE) {
      this.#fail('invalid-page', `page ${formatLsn(pageAddress)}: long header is out of place`);
    }
    const header = decodeWalPageHeader(this.#header.subarray(0, size));
    const problem = findWalPageFault(header, { ...this.#options, pageAddress });
    if (problem !== undefined) this.#fail(problem.kind, `page ${formatLsn(pageAddress)}: ${problem.detail}`);
    this.#assertContinuation(header);
  }

  #assertContinuation({ flags, pageAddress, remainingLength }: WalPageHeader): void {
    const continued = (flags & WAL_PAGE_FLAG.firstIsContinuation) === 0 ? 0 : remainingLength;
    // The server crashed while it wrote the record and has given it up.
    if ((flags & WAL_PAGE_FLAG.firstIsOverwriteContinuation) !== 0) this.#partial = undefined;
    const rest = (this.#partial?.totalLength ?? 0) - (this.#partial?.length ?? 0);
    if (continued === rest) return;
    this.#fail(
      'no-continuation',
      `page ${formatLsn(pageAddress)} continues ${continued} bytes; expected ${rest}`,
    );
  }

  #assertLength({ start }: PartialRecord, totalLength: number): void {
    if (totalLength >= WAL_RECORD_HEADER_SIZE && totalLength <= WAL_RECORD_SIZE_MAX) return;
    const where = formatLsn(lsn(BigInt(start)));
    this.#fail(totalLength === 0 ? 'zeros' : 'invalid-record', `record length at ${where} is ${totalLength}`);
  }

  /** As soon as the header is there: nobody waits for the rest of what is no record. */
  #assertLink(record: PartialRecord): void {
    const previous = record.takePrevious();
    if (previous === undefined) return;
    const isLinked =
      this.#previous < 0 ? previous < BigInt(record.start) : previous === BigInt(this.#previous);
    if (isLinked) return;
    const start = lsn(BigInt(record.start));
    const expected =
      this.#previous < 0 ? `less than ${formatLsn(start)}` : formatLsn(lsn(BigInt(this.#previous)));
    const detail = `record at ${formatLsn(start)} links back to ${formatLsn(previous)}; expected ${expected}`;
    this.#fail('invalid-record', detail);
  }

  #advance(count: number): void {
    this.#queue.advance(count);
    this.#at += count;
    this.#pageRest -= count;
  }

  #fail(reason: string, detail: string): never {
    const where = formatLsn(this.recordEnd);
    const code: TimelineErrorCode =
      reason === 'foreign-page' ? 'TIMELINE_WAL_FOREIGN' : 'TIMELINE_WAL_CORRUPT';
    const what = reason === 'foreign-page' ? "is another cluster's" : 'is corrupt';
    this.#failure = new TimelineError({
      code,
      operation: 'decode WAL',
      message: `the WAL that follows ${where} ${what}: ${detail}`,
      context: { lsn: where, reason },
    });
    throw this.#failure;
  }
}

function exact(position: Lsn): number {
  const value = Number(position);
  if (Number.isSafeInteger(value)) return value;
  throw invalidArgument(`LSN ${formatLsn(position)} is too great; supported are those below 2^53`);
}

function invalidArgument(message: string): TimelineError {
  return new TimelineError({ code: 'TIMELINE_INVALID_ARGUMENT', operation: 'decode WAL', message });
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

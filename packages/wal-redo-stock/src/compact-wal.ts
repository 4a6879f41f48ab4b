/** WAL that holds given records and nothing else, back to back at new LSNs, between two shutdown checkpoints. */
import {
  alignLsn,
  type CheckPoint,
  encodeCheckPoint,
  encodeWalPageHeader,
  encodeWalRecord,
  type Lsn,
  lsn,
  RESOURCE_MANAGER,
  WAL_PAGE_FLAG,
  WAL_PAGE_MAGIC,
  WAL_PAGE_SIZE,
  walPageHeaderSize,
  walRecordCrc,
  walRecordStart,
  walSegmentFileName,
  walSegmentNumber,
  XLOG_INFO,
  ZERO_LSN,
} from '@neon-snapshot/postgres';

export const WAL_SEGMENT_SIZE = 1024 * 1024;
const TIMELINE_ID = 1;
export const SYSTEM_IDENTIFIER = 1n;

/** The first place in the scratch WAL: past any LSN that a page or record names, so that the two never mix. */
export function scratchStart(lsnMax: Lsn): Lsn {
  const size = BigInt(WAL_SEGMENT_SIZE);
  return lsn((lsnMax / size + 2n) * size);
}

export class CompactWal {
  /** Start of the first checkpoint record: where redo begins. */
  readonly checkPointLsn: Lsn;
  readonly checkPoint: CheckPoint;
  readonly #major: 14 | 15 | 16 | 17;
  readonly #segments = new Map<number, Uint8Array>();
  #previous: Lsn = ZERO_LSN;
  #end: Lsn;

  constructor(options: { readonly major: 14 | 15 | 16 | 17; readonly start: Lsn }) {
    this.#major = options.major;
    this.#end = options.start;
    this.checkPointLsn = walRecordStart(options.start, WAL_SEGMENT_SIZE);
    this.checkPoint = scratchCheckPoint(this.checkPointLsn);
    this.#appendCheckPoint(this.checkPoint);
  }

  /** Sets xl_prev and the CRC in `record`; returns its end as redo will see it. */
  append(record: Uint8Array): Lsn {
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    view.setBigUint64(8, this.#previous, true);
    view.setUint32(20, walRecordCrc(record), true);
    const start = walRecordStart(this.#end, WAL_SEGMENT_SIZE);
    this.#end = alignLsn(this.#write(record, start));
    this.#previous = start;
    return this.#end;
  }

  /** Ends the WAL; gives its segments. */
  finish(): { readonly fileName: string; readonly bytes: Uint8Array }[] {
    this.#appendCheckPoint(scratchCheckPoint(walRecordStart(this.#end, WAL_SEGMENT_SIZE)));
    return [...this.#segments].map(([segno, bytes]) => ({
      fileName: walSegmentFileName(TIMELINE_ID, segno, WAL_SEGMENT_SIZE),
      bytes,
    }));
  }

  #appendCheckPoint(checkPoint: CheckPoint): void {
    const content = encodeCheckPoint(checkPoint, this.#major);
    const header = {
      xid: 0,
      previous: ZERO_LSN,
      info: XLOG_INFO.checkpointShutdown,
      resourceManager: RESOURCE_MANAGER.xlog,
    };
    this.append(encodeWalRecord(header, Uint8Array.of(255, content.length, ...content)));
  }

  /** Returns the LSN after the last byte. */
  #write(record: Uint8Array, start: Lsn): Lsn {
    let position = start;
    let written = 0;
    const headerSize = walPageHeaderSize(pageOf(start), WAL_SEGMENT_SIZE);
    if (start - pageOf(start) === BigInt(headerSize)) this.#beginPage(pageOf(start), 0);
    while (written < record.length) {
      if (position % BigInt(WAL_PAGE_SIZE) === 0n) {
        this.#beginPage(position, record.length - written);
        position = lsn(position + BigInt(walPageHeaderSize(position, WAL_SEGMENT_SIZE)));
      }
      const room = WAL_PAGE_SIZE - Number(position % BigInt(WAL_PAGE_SIZE));
      const part = record.subarray(written, written + room);
      this.#segmentAt(position).set(part, Number(position % BigInt(WAL_SEGMENT_SIZE)));
      written += part.length;
      position = lsn(position + BigInt(part.length));
    }
    return position;
  }

  #beginPage(pageAddress: Lsn, remainingLength: number): void {
    const offset = Number(pageAddress % BigInt(WAL_SEGMENT_SIZE));
    const continued = remainingLength > 0 ? WAL_PAGE_FLAG.firstIsContinuation : 0;
    const flags = (offset === 0 ? WAL_PAGE_FLAG.longHeader : 0) | continued;
    const magic = WAL_PAGE_MAGIC[this.#major];
    const header = { magic, flags, timeLineId: TIMELINE_ID, pageAddress, remainingLength };
    const segment = {
      systemIdentifier: SYSTEM_IDENTIFIER,
      segmentSize: WAL_SEGMENT_SIZE,
      blockSize: WAL_PAGE_SIZE,
    };
    const bytes = this.#segmentAt(pageAddress);
    encodeWalPageHeader(offset === 0 ? { ...header, segment } : header, bytes, offset);
  }

  #segmentAt(position: Lsn): Uint8Array {
    const segno = walSegmentNumber(position, WAL_SEGMENT_SIZE);
    let segment = this.#segments.get(segno);
    if (segment === undefined) this.#segments.set(segno, (segment = new Uint8Array(WAL_SEGMENT_SIZE)));
    return segment;
  }
}

/**
 * Counters that stand at the start of pages of pg_xact and pg_multixact: then the end of recovery reads none of these
 * (`TrimCLOG`, `TrimMultiXact`), and no such files are needed.
 */
function scratchCheckPoint(redo: Lsn): CheckPoint {
  return {
    redo,
    thisTimeLineId: TIMELINE_ID,
    prevTimeLineId: TIMELINE_ID,
    fullPageWrites: true,
    walLevel: 1,
    nextXid: 32_768n,
    nextOid: 100_000,
    nextMulti: 2048,
    nextMultiOffset: 1636,
    oldestXid: 3,
    oldestXidDb: 1,
    oldestMulti: 2048,
    oldestMultiDb: 1,
    time: 0n,
    oldestCommitTsXid: 0,
    newestCommitTsXid: 0,
    oldestActiveXid: 0,
  };
}

function pageOf(position: Lsn): Lsn {
  return lsn(position - (position % BigInt(WAL_PAGE_SIZE)));
}

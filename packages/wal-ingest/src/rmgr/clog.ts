import { RESOURCE_MANAGER_INFO_MASK, SLRU_PAGES_PER_SEGMENT } from '@neon-snapshot/postgres';
import { precedes } from '../checkpoint-tracker.ts';
import type { MainDataReader } from '../main-data-reader.ts';
import { type Pending, type RecordContext, readMainData } from '../record-context.ts';
import { readSlruSegments, writeSlruSegments, zeroSlruPage } from '../slru-segments.ts';

/** clog.h: `CLOG_XACTS_PER_PAGE`. */
export const XIDS_PER_CLOG_PAGE = 32_768;
const CLOG_ZEROPAGE = 0x00;
const CLOG_TRUNCATE = 0x10;
/** SLRU page numbers in WAL are 64 bits wide from here on. */
const WIDE_PAGE_NUMBER_SINCE_MAJOR = 17;
const FIRST_NORMAL_XID = 3;

/** CLOG: new pages, and segments that no transaction needs any more. */
export function ingestClog(context: RecordContext): Pending {
  const main = readMainData(context);
  switch (context.decoded.info & RESOURCE_MANAGER_INFO_MASK) {
    case CLOG_ZEROPAGE:
      return zeroSlruPage(
        context.modification,
        'clog',
        readPageNumber(context, main, 2 ** 32 / XIDS_PER_CLOG_PAGE),
      );
    case CLOG_TRUNCATE:
      return truncate(context, main);
    default:
      return undefined;
  }
}

/** A page number, 32 bits wide up to 16 and 64 bits from 17 on, below `pageCount`. */
export function readPageNumber(context: RecordContext, main: MainDataReader, pageCount: number): number {
  const page = context.major < WIDE_PAGE_NUMBER_SINCE_MAJOR ? main.u32() : Number(main.u64());
  return page < pageCount ? page : main.fail(`page ${page}; there are at most ${Math.ceil(pageCount)}`);
}

/** xl_clog_truncate: first page that stays, oldest xid, its database. */
async function truncate(context: RecordContext, main: MainDataReader): Promise<void> {
  const { checkpoint, modification } = context;
  const cutoff = readPageNumber(context, main, 2 ** 32 / XIDS_PER_CLOG_PAGE);
  checkpoint.update({ oldestXid: main.u32(), oldestXidDb: main.u32() });
  // As SimpleLruTruncate: where the newest page would go, something is wrong, and everything stays.
  const newest = Math.floor(checkpoint.nextXid / XIDS_PER_CLOG_PAGE);
  if (pagePrecedes(newest, cutoff)) return;
  const segments = await readSlruSegments(modification, 'clog');
  const left = segments.filter((segno) => !mayDelete(segno, cutoff));
  if (left.length < segments.length) writeSlruSegments(modification, 'clog', left);
}

/** `SlruMayDeleteSegment`. */
function mayDelete(segno: number, cutoff: number): boolean {
  const first = segno * SLRU_PAGES_PER_SEGMENT;
  return pagePrecedes(first, cutoff) && pagePrecedes(first + SLRU_PAGES_PER_SEGMENT - 1, cutoff);
}

/** `CLOGPagePrecedes`: all of the first page's transactions come before all of the second's. */
function pagePrecedes(a: number, b: number): boolean {
  const xidA = a * XIDS_PER_CLOG_PAGE + FIRST_NORMAL_XID + 1;
  const xidB = b * XIDS_PER_CLOG_PAGE + FIRST_NORMAL_XID + 1;
  return precedes(xidA, xidB) && precedes(xidA, xidB + XIDS_PER_CLOG_PAGE - 1);
}

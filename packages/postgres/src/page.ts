/** Pages of relation files (PageHeaderData of bufpage.h): 8192 bytes with a header of 24. */
import { type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

/** `BLCKSZ`: bytes of a relation page. */
export const BLCKSZ = 8192;

/** `RELSEG_SIZE`: blocks of a relation segment of 1 GiB. */
export const RELSEG_BLOCKS = 131072;

export const PAGE_HEADER_SIZE = 24;

/** Bits of `pd_flags`. `walLogged` is Neon's historical own; stock Postgres refuses pages that have it. */
export const PAGE_FLAG = { hasFreeLines: 1, pageFull: 2, allVisible: 4, walLogged: 8 } as const;

export interface PageHeader {
  readonly lsn: Lsn;
  readonly checksum: number;
  readonly flags: number;
  /** End of the line pointers. */
  readonly lower: number;
  /** Start of the tuples; 0 in a new page. */
  readonly upper: number;
  readonly special: number;
  readonly sizeBytes: number;
  readonly layoutVersion: number;
  readonly pruneXid: number;
}

/** Reads the header without judging it; throws `POSTGRES_TRUNCATED` below 24 bytes. */
export function decodePageHeader(page: Uint8Array): PageHeader {
  if (page.length < PAGE_HEADER_SIZE) {
    throw new PostgresFormatError({
      code: 'POSTGRES_TRUNCATED',
      operation: 'decode page header',
      message: `A page header needs ${PAGE_HEADER_SIZE} bytes; found ${page.length}`,
      context: { size: page.length },
    });
  }
  const view = new DataView(page.buffer, page.byteOffset, PAGE_HEADER_SIZE);
  const sizeAndVersion = view.getUint16(18, true);
  return {
    lsn: lsn((BigInt(view.getUint32(0, true)) << 32n) | BigInt(view.getUint32(4, true))),
    checksum: view.getUint16(8, true),
    flags: view.getUint16(10, true),
    lower: view.getUint16(12, true),
    upper: view.getUint16(14, true),
    special: view.getUint16(16, true),
    sizeBytes: sizeAndVersion & 0xff00,
    layoutVersion: sizeAndVersion & 0x00ff,
    pruneXid: view.getUint32(20, true),
  };
}

/** `PageIsNew`: `pd_upper` is 0. Such a page has no checksum; a valid one is zeros throughout. */
export function isNewPage(page: Uint8Array): boolean {
  return page[14] === 0 && page[15] === 0;
}

/** True when the first 8192 bytes are zeros. */
export function isZeroPage(page: Uint8Array): boolean {
  for (let offset = 0; offset < BLCKSZ; offset++) if (page[offset] !== 0) return false;
  return true;
}

/** What is wrong with a page's header, or `undefined`; the test of `PageIsVerified` without the checksum. */
export function findPageHeaderFault(page: Uint8Array): string | undefined {
  if (isNewPage(page)) return isZeroPage(page) ? undefined : 'pd_upper is 0 but the page is not all zeros';
  const { flags, lower, upper, special } = decodePageHeader(page);
  if ((flags & ~7) !== 0) return `pd_flags 0x${flags.toString(16)} has unknown bits`;
  if (lower > upper) return `pd_lower ${lower} is past pd_upper ${upper}`;
  if (upper > special) return `pd_upper ${upper} is past pd_special ${special}`;
  if (special > BLCKSZ || special % 8 !== 0) {
    return `pd_special ${special} is not a multiple of 8 up to ${BLCKSZ}`;
  }
  return undefined;
}

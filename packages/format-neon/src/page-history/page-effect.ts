/** What one record changed on a page. */
import { BLCKSZ, decodePageHeader, type PageHeader } from '@neon-snapshot/postgres';

/** Bytes of a page that changed; consecutive. */
export interface ChangedRange {
  readonly offset: number;
  readonly length: number;
}

export interface PageEffect {
  readonly before: PageHeader;
  readonly after: PageHeader;
  /** Ascending; the header is part of the page. */
  readonly ranges: readonly ChangedRange[];
  /** How many bytes differ. */
  readonly changedBytes: number;
}

/** Equal bytes between two changes up to which they are one range. */
const GAP_BYTES_MAX = 8;

/** Compares a page of 8192 bytes before and after. */
export function pageEffect(before: Uint8Array, after: Uint8Array): PageEffect {
  const ranges: { offset: number; length: number }[] = [];
  let changedBytes = 0;
  for (let at = 0; at < BLCKSZ; at += 1) {
    if (before[at] === after[at]) continue;
    changedBytes += 1;
    const last = ranges.at(-1);
    if (last !== undefined && at - last.offset - last.length <= GAP_BYTES_MAX)
      last.length = at + 1 - last.offset;
    else ranges.push({ offset: at, length: 1 });
  }
  return { before: decodePageHeader(before), after: decodePageHeader(after), ranges, changedBytes };
}

import { compareKeys } from './key.ts';

/** Keys from `start` up to `end`, exclusive. */
export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

export function rangeContains(range: KeyRange, key: Uint8Array): boolean {
  return compareKeys(range.start, key) <= 0 && compareKeys(key, range.end) < 0;
}

/** The keys that both ranges have, or undefined when there are none. */
export function intersectRanges(a: KeyRange, b: KeyRange): KeyRange | undefined {
  const start = compareKeys(a.start, b.start) >= 0 ? a.start : b.start;
  const end = compareKeys(a.end, b.end) <= 0 ? a.end : b.end;
  return compareKeys(start, end) < 0 ? { start, end } : undefined;
}

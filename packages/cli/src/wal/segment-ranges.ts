import {
  decodeWalPageHeader,
  majorOfWalPageMagic,
  type PostgresMajor,
  parseWalSegmentFileName,
  WAL_PAGE_SIZE,
  walSegmentNumber,
} from '@neon-snapshot/postgres';
import { CliError } from '../cli-error.ts';
import { readFirstPage, type SegmentObject } from './wal-object.ts';

/** Segments of one TimeLineID that follow each other. */
export interface SegmentRange {
  readonly timeLineId: number;
  readonly firstSegno: number;
  readonly segments: readonly SegmentObject[];
}

export interface SegmentFacts {
  readonly major: PostgresMajor;
  readonly segmentSize: number;
  readonly ranges: readonly SegmentRange[];
}

interface PlacedSegment {
  readonly object: SegmentObject;
  readonly timeLineId: number;
  readonly segno: number;
}

/** Orders segments into ranges without gaps. Major and segment size are what the first segment with WAL says. */
export async function arrangeSegments(
  objects: readonly SegmentObject[],
  options: { readonly signal: AbortSignal },
): Promise<SegmentFacts> {
  for (const object of objects) {
    const header = readHeader(await readFirstPage(object, options));
    if (header === undefined) continue;
    const { major, segmentSize } = header;
    const placed: PlacedSegment[] = [];
    for (const each of objects) placed.push(await placeSegment(each, { segmentSize, ...options }));
    return { major, segmentSize, ranges: toRanges(placed) };
  }
  throw noWal(objects);
}

/** By its name, else by the address of its first page. */
async function placeSegment(
  object: SegmentObject,
  { segmentSize, signal }: { readonly segmentSize: number; readonly signal: AbortSignal },
): Promise<PlacedSegment> {
  const named = parseWalSegmentFileName(object.key.slice(0, 24), segmentSize);
  if (named !== undefined) return { object, ...named };
  const header = readHeader(await readFirstPage(object, { signal }));
  if (header === undefined) throw noWal([object]);
  return { object, timeLineId: header.timeLineId, segno: walSegmentNumber(header.pageAddress, segmentSize) };
}

function readHeader(bytes: Uint8Array) {
  if (bytes.length < WAL_PAGE_SIZE) return undefined;
  const { magic, segment, timeLineId, pageAddress } = decodeWalPageHeader(bytes);
  const major = majorOfWalPageMagic(magic);
  if (major === undefined || segment === undefined) return undefined;
  return { major, segmentSize: segment.segmentSize, timeLineId, pageAddress };
}

function toRanges(placed: readonly PlacedSegment[]): SegmentRange[] {
  const ranges: { timeLineId: number; firstSegno: number; segments: SegmentObject[] }[] = [];
  const sorted = placed.toSorted((a, b) => a.timeLineId - b.timeLineId || a.segno - b.segno);
  for (const { object, timeLineId, segno } of sorted) {
    const range = ranges.at(-1);
    const next = range === undefined ? -1 : range.firstSegno + range.segments.length;
    // The same segment may be there whole and as `.partial`: the whole one comes first by name.
    if (range?.timeLineId === timeLineId && segno === next - 1) continue;
    if (range?.timeLineId === timeLineId && segno === next) range.segments.push(object);
    else ranges.push({ timeLineId, firstSegno: segno, segments: [object] });
  }
  return ranges;
}

function noWal(objects: readonly SegmentObject[]): CliError {
  const names = objects.slice(0, 3).map(({ key }) => key);
  return new CliError(
    'CLI_UNKNOWN_FILE',
    'read WAL',
    `${names.join(', ')}${objects.length > 3 ? ', …' : ''}: the first page is no WAL of Postgres 14 to 18`,
  );
}

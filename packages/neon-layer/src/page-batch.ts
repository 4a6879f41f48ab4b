import type { RelTag } from '@neon-snapshot/postgres';
import { decodeBlobHeader } from './blob.ts';
import { sliceChanges } from './fetch-changes.ts';
import { blobAt, type FetchedUnit, hasImage, nameValue, releaseSpans } from './fetch-unit.ts';
import { KEY_PREFIX_SIZE, KEY_SIZE } from './key.ts';
import { parseKey } from './key-kind.ts';

/** Pages of one batch at most: 1 MiB of raw pages. */
export const BATCH_PAGES_MAX = 128;

/** Consecutive pages of a batch that belong to one relation fork. */
export interface PageRun {
  readonly tag: RelTag;
  /** Index of its first page in the batch. */
  readonly pageStart: number;
  /** Exclusive. */
  readonly pageEnd: number;
}

/** Stored pages in key order, ready to be handed to a worker: all arrays are the batch's own. */
export interface PageBatch {
  readonly pageCount: number;
  /** Relation forks in key order; one fork may go on in the next batch. */
  readonly runs: readonly PageRun[];
  /** Block number of each page. Blocks that the timeline does not have are absent. */
  readonly blockNumbers: Uint32Array<ArrayBuffer>;
  /** Stored blobs (header and payload) back to back: for `PageDecompressor.decodePages`, or for another layer. */
  readonly blobs: Uint8Array;
  /** Bytes of each blob; 0 where the changes need no image below them, or there is none. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** What delta layers hold above the images: redo makes the pages of it. Absent where all pages are images. */
  readonly changes: PageChanges | undefined;
}

/**
 * Values of delta layers as they are stored, page after page, of each page oldest first. One may be an image: it replaces
 * whatever came before.
 */
export interface PageChanges {
  /** Index of the page in the batch that each belongs to; ascends. */
  readonly positions: Uint32Array<ArrayBuffer>;
  /** End of the record: the LSN of the changed page. */
  readonly lsns: BigUint64Array<ArrayBuffer>;
  /** Bytes of each blob; some behind it may be a gap. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** Stored blobs back to back, each with an encoded `Value`: see `decodeValue`. */
  readonly blobs: Uint8Array<ArrayBuffer>;
}

/** Gives the memory for the blobs of one batch, at most {@link BATCH_PAGES_MAX} stored pages; it may be larger than asked for. */
export type BlobMemory = (sizeBytes: number) => Uint8Array;

/** Cuts a unit of relation pages into batches; the unit's bytes are spent then. */
export function* batchesOf(fetched: FetchedUnit, memory: BlobMemory): Generator<PageBatch> {
  for (let start = 0; start < fetched.unit.count; start += BATCH_PAGES_MAX) {
    yield batchOf(fetched, { start, end: Math.min(start + BATCH_PAGES_MAX, fetched.unit.count), memory });
  }
  releaseSpans(fetched);
}

function batchOf(
  fetched: FetchedUnit,
  { start, end, memory }: { readonly start: number; readonly end: number; readonly memory: BlobMemory },
): PageBatch {
  const { keys } = fetched.unit;
  const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const pageCount = end - start;
  const lengths = new Uint32Array(pageCount);
  const blockNumbers = new Uint32Array(pageCount);
  let size = 0;
  for (let i = 0; i < pageCount; i += 1) {
    blockNumbers[i] = keyView.getUint32((start + i) * KEY_SIZE + KEY_PREFIX_SIZE);
    const length = hasImage(fetched, start + i) ? storedLength(fetched, start + i) : 0;
    lengths[i] = length;
    size += length;
  }
  const blobs = memory(size).subarray(0, size);
  copyBlobs(fetched, { start, lengths, blobs });
  const changes = sliceChanges(fetched.changes, start, end);
  return { pageCount, runs: runsOf(keys, start, end), blockNumbers, blobs, lengths, changes };
}

/** Pages `[from, to)` of a batch as one of its own. */
export function slicePages(
  batch: PageBatch,
  { from, to, memory }: { readonly from: number; readonly to: number; readonly memory: BlobMemory },
): PageBatch {
  const lengths = batch.lengths.slice(from, to);
  const sum = (part: Uint32Array) => part.reduce((total, length) => total + length, 0);
  const [start, size] = [sum(batch.lengths.subarray(0, from)), sum(lengths)];
  const blobs = memory(size).subarray(0, size);
  blobs.set(batch.blobs.subarray(start, start + size));
  const runs = batch.runs.flatMap(({ tag, pageStart, pageEnd }) => {
    const own = { tag, pageStart: Math.max(pageStart, from) - from, pageEnd: Math.min(pageEnd, to) - from };
    return own.pageStart < own.pageEnd ? [own] : [];
  });
  return {
    pageCount: to - from,
    runs,
    blockNumbers: batch.blockNumbers.slice(from, to),
    blobs,
    lengths,
    changes: sliceChanges(batch.changes, from, to),
  };
}

/** Header and payload, without a gap behind them. */
function storedLength(fetched: FetchedUnit, index: number): number {
  try {
    const blob = blobAt(fetched, index);
    const { headerSize, payloadSize } = decodeBlobHeader(blob, 0, blob.length);
    return headerSize + payloadSize;
  } catch (error) {
    throw nameValue(error, fetched, index);
  }
}

function copyBlobs(
  fetched: FetchedUnit,
  target: { readonly start: number; readonly lengths: Uint32Array; readonly blobs: Uint8Array },
): void {
  const { start, lengths, blobs } = target;
  let offset = 0;
  for (const [i, length] of lengths.entries()) {
    if (length > 0) blobs.set(blobAt(fetched, start + i).subarray(0, length), offset);
    offset += length;
  }
}

function runsOf(keys: Uint8Array, start: number, end: number): readonly PageRun[] {
  const runs: PageRun[] = [];
  let runStart = start;
  for (let i = start + 1; i <= end; i += 1) {
    if (i < end && hasSamePrefix(keys, i - 1, i)) continue;
    const parsed = parseKey(keys.subarray(runStart * KEY_SIZE, (runStart + 1) * KEY_SIZE));
    if (parsed.kind === 'relation-block') {
      runs.push({ tag: parsed.tag, pageStart: runStart - start, pageEnd: i - start });
    }
    runStart = i;
  }
  return runs;
}

function hasSamePrefix(keys: Uint8Array, a: number, b: number): boolean {
  for (let i = 0; i < KEY_PREFIX_SIZE; i += 1) {
    if (keys[a * KEY_SIZE + i] !== keys[b * KEY_SIZE + i]) return false;
  }
  return true;
}

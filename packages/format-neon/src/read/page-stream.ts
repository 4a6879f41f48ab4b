import { FormatError, type PageFault } from '@neon-snapshot/format-core';
import type { PageBatch } from '@neon-snapshot/neon-layer';
import type { RedoFallback } from '@neon-snapshot/neon-timeline';
import { BLCKSZ, compareRelTags, type RelTag } from '@neon-snapshot/postgres';
import { type ChangedPages, packChangedPages, transferOf } from '../pages/changed-pages.ts';
import type { DecodeRequest, DecodeResult } from '../pages/decode-worker.ts';
import type { PageBuffers } from '../pages/page-buffers.ts';
import type { UnknownPage } from '../pages/page-redo.ts';
import { type PageRun, packRuns } from '../pages/page-slot.ts';
import { WorkerJobError, type WorkerPool } from '../pages/worker-pool.ts';
import type { RelationSegment } from './export-files.ts';
import { damagedPageError, makeUnknownPage } from './unknown-page.ts';

/** Pages of one segment, decoded and ready to be written. */
export interface SegmentPages {
  readonly segment: RelationSegment;
  /** The receiver's own; shared memory that is used again once it was released. */
  readonly pages: Uint8Array;
}

export interface PageStreamOptions {
  /** Segments of one partition that have blocks, in key order. */
  readonly segments: readonly RelationSegment[];
  /** Stored pages of their key range, in memory of `buffers`; may hold more than is asked for. */
  readonly batches: AsyncIterable<PageBatch>;
  readonly pool: WorkerPool<DecodeRequest, DecodeResult>;
  readonly buffers: PageBuffers;
  readonly postgresMajor: number;
  readonly hasChecksums: boolean;
  /** Nobody changed the pages since the import, so that those of a cluster with checksums carry valid ones. */
  readonly isImported: boolean;
  /** Is told of each page whose checksum is wrong; ends the stream by throwing. */
  readonly onPageFault: (fault: PageFault) => void;
  /** Is told how many pages of free space and visibility maps could not be made and are zero. */
  readonly onZeroPages: (count: number) => void;
  /** For records that redo does not know; absent, they end the stream. */
  readonly fallback: RedoFallback | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Batches with the threads at a time. */
  readonly jobCountMax: number;
}

/**
 * The pages of the segments, every block once and in order, decoded side by side. A block that a size promises and no layer has
 * is `FORMAT_TRUNCATED`; blocks that no segment has (of dropped or truncated relations) are passed over.
 */
export async function* streamPages(
  options: PageStreamOptions,
): AsyncGenerator<SegmentPages, void, undefined> {
  const cursor = new SegmentCursor(options.segments);
  const { buffers } = options;
  const jobs: {
    readonly wanted: WantedPages;
    readonly buffer: Uint8Array;
    readonly result: Promise<DecodeResult>;
  }[] = [];
  const oldest = async function* () {
    const job = jobs.shift();
    if (job === undefined) return;
    const { zeroCount, faults, unknown } = await job.result.catch((error: unknown) => {
      throw damagedPage(error, job.wanted);
    });
    if (zeroCount > 0) options.onZeroPages(zeroCount);
    for (const { index, expected, found } of faults) {
      const { path, blockNumber } = placeOf(job.wanted, index);
      options.onPageFault({ path, blockNumber, expected, found });
    }
    for (const page of unknown) await makeUnknown(page, job, options);
    const { pieces } = job.wanted;
    const chunks = buffers.cut(
      job.buffer,
      pieces.map(({ count }) => count * BLCKSZ),
    );
    for (const { segment } of pieces) {
      const { value } = chunks.next();
      if (value !== undefined) yield { segment, pages: value };
    }
  };
  for await (const batch of options.batches) {
    const wanted = cursor.select(batch, options);
    const buffer = new Uint8Array(batch.blobs.buffer);
    if (wanted.runs.length === 0) {
      buffers.giveBack(buffer);
      continue;
    }
    const { lengths, runs, changed } = wanted;
    const transfer = [lengths.buffer, ...transferOf(changed)];
    const { isImported, fallback } = options;
    const hasFallback = fallback !== undefined;
    const result = options.pool.run(
      { buffer, lengths, runs: packRuns(runs), changed, isImported, hasFallback },
      transfer,
    );
    result.catch(() => undefined);
    jobs.push({ wanted, buffer, result });
    if (jobs.length >= options.jobCountMax) yield* oldest();
  }
  cursor.assertEnd();
  while (jobs.length > 0) yield* oldest();
}

interface Piece {
  readonly segment: RelationSegment;
  readonly count: number;
}

/** What of a batch is asked for. */
interface WantedPages {
  /** Own memory: it is handed over to a thread. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly runs: readonly PageRun[];
  readonly changed: ChangedPages | undefined;
  readonly pieces: readonly Piece[];
}

/** Where in the list of segments the next page belongs. */
class SegmentCursor {
  readonly #segments: readonly RelationSegment[];
  #index = 0;
  /** Blocks of the current segment that have come. */
  #blocksDone = 0;

  constructor(segments: readonly RelationSegment[]) {
    this.#segments = segments;
  }

  select(
    batch: PageBatch,
    { hasChecksums, postgresMajor }: { readonly hasChecksums: boolean; readonly postgresMajor: number },
  ): WantedPages {
    const kept: number[] = [];
    const pieces: { segment: RelationSegment; count: number }[] = [];
    const runs: { count: number; firstBlock: number; hasChecksums: boolean }[] = [];
    for (const { tag, pageStart, pageEnd } of batch.runs) {
      for (let page = pageStart; page < pageEnd; page += 1) {
        const blockNumber = batch.blockNumbers[page] ?? 0;
        const segment = this.#take(tag, blockNumber);
        if (segment === undefined) continue;
        kept.push(page);
        const piece = pieces.at(-1);
        const run = runs.at(-1);
        if (piece !== undefined && run !== undefined && piece.segment === segment) {
          piece.count += 1;
          run.count += 1;
        } else {
          pieces.push({ segment, count: 1 });
          runs.push({ count: 1, firstBlock: blockNumber, hasChecksums });
        }
      }
    }
    const changed = packChangedPages(batch, { kept, postgresMajor });
    return { lengths: keepBlobs(batch, kept), runs, changed, pieces };
  }

  assertEnd(): void {
    const segment = this.#segments[this.#index];
    if (segment !== undefined) throw missingBlock(segment, this.#blocksDone);
  }

  /** The segment that the block belongs to; undefined for one that no segment has. */
  #take(tag: RelTag, blockNumber: number): RelationSegment | undefined {
    const segment = this.#segments[this.#index];
    if (segment === undefined) return undefined;
    const expected = segment.firstBlock + this.#blocksDone;
    const order = compareRelTags(tag, segment.tag) || blockNumber - expected;
    if (order < 0) return undefined;
    if (order > 0) throw missingBlock(segment, this.#blocksDone);
    this.#blocksDone += 1;
    if (this.#blocksDone === segment.blocks) {
      this.#index += 1;
      this.#blocksDone = 0;
    }
    return segment;
  }
}

/** Moves the blobs of the kept pages together; their lengths. */
function keepBlobs(
  { blobs, lengths, pageCount }: PageBatch,
  kept: readonly number[],
): Uint32Array<ArrayBuffer> {
  if (kept.length === pageCount) return lengths;
  const keptLengths = new Uint32Array(kept.length);
  let page = 0;
  let offset = 0;
  let end = 0;
  for (const [index, keptPage] of kept.entries()) {
    for (; page < keptPage; page += 1) offset += lengths[page] ?? 0;
    const length = lengths[keptPage] ?? 0;
    blobs.copyWithin(end, offset, offset + length);
    keptLengths[index] = length;
    end += length;
  }
  return keptLengths;
}

/** File and block of a page of a job. */
function placeOf(
  { pieces, runs }: WantedPages,
  pageIndex: number,
): { readonly path: string; readonly tag: RelTag; readonly blockNumber: number } {
  let page = pageIndex;
  const index = pieces.findIndex(({ count }) => {
    if (page < count) return true;
    page -= count;
    return false;
  });
  const segment = pieces[index]?.segment;
  if (segment === undefined) throw new Error(`a job has no page ${pageIndex}`);
  return { path: segment.path, tag: segment.tag, blockNumber: (runs[index]?.firstBlock ?? 0) + page };
}

/** Makes a page of a job with the fallback, in its place. */
async function makeUnknown(
  page: UnknownPage,
  { wanted, buffer }: { readonly wanted: WantedPages; readonly buffer: Uint8Array },
  { postgresMajor, hasChecksums, fallback, signal }: PageStreamOptions,
): Promise<void> {
  if (fallback === undefined) return;
  const place = placeOf(wanted, page.index);
  buffer.set(
    await makeUnknownPage({ ...place, ...page }, { postgresMajor, hasChecksums, fallback, signal }),
    page.index * BLCKSZ,
  );
}

/** Names the page that a thread could not decode. */
function damagedPage(error: unknown, wanted: WantedPages): unknown {
  if (!(error instanceof WorkerJobError) || error.failure.code === undefined) return error;
  const { path, blockNumber: block } = placeOf(wanted, error.failure.pageIndex ?? 0);
  return damagedPageError({ path, block, code: error.failure.code, cause: error });
}

function missingBlock(segment: RelationSegment, blocksDone: number): FormatError {
  const block = segment.firstBlock + blocksDone;
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read pages',
    message: `The timeline has no page for block ${block} of ${segment.path}; its size says ${segment.firstBlock + segment.blocks} blocks`,
    context: { path: segment.path, block },
  });
}

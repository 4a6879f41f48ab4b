import { FormatError } from '@neon-snapshot/format-core';
import type { PageBatch } from '@neon-snapshot/neon-layer';
import { BLCKSZ, compareRelTags, type RelTag } from '@neon-snapshot/postgres';
import type { DecodeRequest, DecodeResult } from '../pages/decode-worker.ts';
import { type PageRun, packRuns } from '../pages/page-slot.ts';
import { WorkerJobError, type WorkerPool } from '../pages/worker-pool.ts';
import type { RelationSegment } from './export-files.ts';

/** Pages of one segment, decoded and ready to be written. */
export interface SegmentPages {
  readonly segment: RelationSegment;
  /** The receiver's own. */
  readonly pages: Uint8Array;
}

export interface PageStreamOptions {
  /** Segments of one partition that have blocks, in key order. */
  readonly segments: readonly RelationSegment[];
  /** Stored pages of their key range; may hold more than is asked for. */
  readonly batches: AsyncIterable<PageBatch>;
  readonly pool: WorkerPool<DecodeRequest, DecodeResult>;
  readonly hasChecksums: boolean;
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
  const jobs: { readonly wanted: WantedPages; readonly result: Promise<DecodeResult> }[] = [];
  const oldest = async function* () {
    const job = jobs.shift();
    if (job === undefined) return;
    const { pages } = await job.result.catch((error: unknown) => {
      throw damagedPage(error, job.wanted);
    });
    yield* cutPieces(pages, job.wanted.pieces);
  };
  for await (const batch of options.batches) {
    const wanted = cursor.select(batch, options.hasChecksums);
    if (wanted.runs.length === 0) continue;
    const { blobs, lengths, runs } = wanted;
    const result = options.pool.run({ blobs, lengths, runs: packRuns(runs) }, [blobs.buffer, lengths.buffer]);
    result.catch(() => undefined);
    jobs.push({ wanted, result });
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
  /** Own memory of both: they are handed over to a thread. */
  readonly blobs: Uint8Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly runs: readonly PageRun[];
  readonly pieces: readonly Piece[];
}

function* cutPieces(pages: Uint8Array, pieces: readonly Piece[]): Generator<SegmentPages, void, undefined> {
  let start = 0;
  for (const { segment, count } of pieces) {
    const end = start + count * BLCKSZ;
    yield { segment, pages: pages.subarray(start, end) };
    start = end;
  }
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

  select(batch: PageBatch, hasChecksums: boolean): WantedPages {
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
    return { ...pickBlobs(batch, kept), runs, pieces };
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

/** The blobs of the kept pages; the batch itself when all are kept. */
function pickBlobs(
  { blobs, lengths, pageCount }: PageBatch,
  kept: readonly number[],
): Pick<WantedPages, 'blobs' | 'lengths'> {
  if (kept.length === pageCount) return { blobs, lengths };
  const offsets = new Uint32Array(pageCount + 1);
  for (let page = 0; page < pageCount; page += 1) {
    offsets[page + 1] = (offsets[page] ?? 0) + (lengths[page] ?? 0);
  }
  const keptLengths = Uint32Array.from(kept, (page) => lengths[page] ?? 0);
  const keptBlobs = new Uint8Array(keptLengths.reduce((sum, length) => sum + length, 0));
  let end = 0;
  for (const page of kept) {
    const blob = blobs.subarray(offsets[page], offsets[page + 1]);
    keptBlobs.set(blob, end);
    end += blob.length;
  }
  return { blobs: keptBlobs, lengths: keptLengths };
}

/** Names the page that a thread could not decode. */
function damagedPage(error: unknown, { pieces, runs }: WantedPages): unknown {
  if (!(error instanceof WorkerJobError) || error.failure.code === undefined) return error;
  let page = error.failure.pageIndex ?? 0;
  const index = pieces.findIndex(({ count }) => {
    if (page < count) return true;
    page -= count;
    return false;
  });
  const path = pieces[index]?.segment.path;
  const block = (runs[index]?.firstBlock ?? 0) + page;
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read pages',
    message: `The stored page of block ${block} of ${path} is damaged: ${error.message}`,
    context: { path, block },
    cause: error,
  });
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

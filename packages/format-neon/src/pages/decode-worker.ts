/** Thread of the reader: decompresses pages and makes them stock Postgres' own again. */
import { createPageDecompressor } from '@neon-snapshot/neon-layer';
import { BLCKSZ, createPageChecksums, PAGE_FLAG } from '@neon-snapshot/postgres';
import { type PageRun, unpackRuns } from './page-slot.ts';
import { type JobResult, serveJobs } from './worker-loop.ts';

export interface DecodeRequest {
  /** Stored blobs, back to back; shared memory. */
  readonly blobs: Uint8Array;
  /** Bytes of each blob. */
  readonly lengths: Uint32Array;
  /** Packed. */
  readonly runs: Uint32Array;
}

export interface DecodeResult {
  /** The pages, back to back. */
  readonly pages: Uint8Array<ArrayBuffer>;
}

/** Pages that get their checksums in one go; a job has no more than these. */
const CHECKSUM_PAGES = 128;
/** Offset of the low byte of `pd_flags` (bufpage.h). */
const PD_FLAGS_OFFSET = 10;

const checksums = createPageChecksums({ pagesMax: CHECKSUM_PAGES });
const decompressor = createPageDecompressor();

serveJobs(({ blobs, lengths, runs }: DecodeRequest): JobResult<DecodeResult> => {
  const pages = new Uint8Array(lengths.length * BLCKSZ);
  decompressor.decodePages({ blobs, lengths, pageCount: lengths.length, out: pages });
  let start = 0;
  for (const run of unpackRuns(runs)) {
    const end = start + run.count * BLCKSZ;
    restore(pages.subarray(start, end), run);
    start = end;
  }
  return { value: { pages }, transfer: [pages.buffer] };
});

/** Clears Neon's historical flag, which stock Postgres refuses, and writes valid checksums where the cluster has them. */
function restore(pages: Uint8Array, { count, firstBlock, hasChecksums }: PageRun): void {
  for (let offset = PD_FLAGS_OFFSET; offset < pages.length; offset += BLCKSZ) {
    const flags = pages[offset] ?? 0;
    if ((flags & PAGE_FLAG.walLogged) !== 0) pages[offset] = flags & ~PAGE_FLAG.walLogged;
  }
  if (!hasChecksums) return;
  checksums.buffer.set(pages);
  checksums.stamp(count, firstBlock);
  pages.set(checksums.buffer.subarray(0, pages.length));
}

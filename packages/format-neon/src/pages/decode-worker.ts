/** Thread of the reader: decompresses pages and makes them stock Postgres' own again. */
import { BATCH_PAGES_MAX, createPageDecompressor, isNeonLayerError } from '@neon-snapshot/neon-layer';
import { BLCKSZ, createPageChecksums, decodePageHeader, PAGE_FLAG } from '@neon-snapshot/postgres';
import type { ChangedPages } from './changed-pages.ts';
import type { SlotPageFault } from './encode-worker.ts';
import { PageFault } from './page-fault.ts';
import { PageRedo, type UnknownPage } from './page-redo.ts';
import { unpackRuns } from './page-slot.ts';
import { type JobResult, serveJobs } from './worker-loop.ts';

export interface DecodeRequest {
  /** Shared memory with the stored blobs, back to back; receives the pages. At least as large as both. */
  readonly buffer: Uint8Array;
  /** Bytes of each blob; 0 where a page is made of changes only. */
  readonly lengths: Uint32Array;
  /** Packed. */
  readonly runs: Uint32Array;
  /** WAL records and the like above the images; absent where the images are the pages. */
  readonly changed?: ChangedPages | undefined;
  /** Nobody changed the pages since the import: those with checksums carry their source's valid ones. */
  readonly isImported?: boolean;
  /** Pages with records that redo does not know come back as they are, in place of an error. */
  readonly hasFallback?: boolean;
}

export interface DecodeResult {
  readonly pageCount: number;
  /** Pages of free space and visibility maps that could not be made and are zero. */
  readonly zeroCount: number;
  /** Pages that should have carried a valid checksum. */
  readonly faults: readonly SlotPageFault[];
  /** Pages that are still to be made. */
  readonly unknown: readonly UnknownPage[];
}

/** Offset of the low byte of `pd_flags` (bufpage.h). */
const PD_FLAGS_OFFSET = 10;

const checksums = createPageChecksums({ pagesMax: BATCH_PAGES_MAX });
const decompressor = createPageDecompressor();
const pageRedo = new PageRedo(decompressor);

// Pages are made in the memory of the checksum code, since a batch fits the cache of a core and is then copied only once.
serveJobs((request: DecodeRequest): JobResult<DecodeResult> => {
  const { buffer, lengths, runs, changed, isImported } = request;
  const pageCount = lengths.length;
  const made = checksums.buffer.subarray(0, pageCount * BLCKSZ);
  if (changed === undefined) decompressor.decodePages({ blobs: buffer, lengths, pageCount, out: made });
  else decodeImages({ buffer, lengths, out: made });
  const unknown: UnknownPage[] = [];
  const zeroCount =
    changed === undefined
      ? 0
      : pageRedo.apply(changed, { pages: made, lengths }, request.hasFallback === true ? unknown : undefined);
  // Before the checksums are made anew: a new one would make damage in a layer look like data.
  const faults = isImported === true && changed === undefined ? findFaults(runs) : [];
  clearNeonFlags(made);
  let first = 0;
  for (const { count, firstBlock, hasChecksums } of unpackRuns(runs)) {
    if (hasChecksums) checksums.stamp(count, firstBlock, first);
    first += count;
  }
  buffer.set(made);
  return { value: { pageCount, zeroCount, faults, unknown } };
});

function findFaults(runs: Uint32Array): SlotPageFault[] {
  const faults: SlotPageFault[] = [];
  let first = 0;
  for (const { count, firstBlock, hasChecksums } of unpackRuns(runs)) {
    for (const bad of hasChecksums ? checksums.verify(count, firstBlock, first) : []) {
      const index = first + bad;
      const found = decodePageHeader(checksums.buffer.subarray(index * BLCKSZ)).checksum;
      faults.push({ index, expected: checksums.checksumAt(index, firstBlock + bad), found });
    }
    first += count;
  }
  return faults;
}

/** Decodes the pages that have an image, each run of them by one call. */
function decodeImages(job: {
  readonly buffer: Uint8Array;
  readonly lengths: Uint32Array;
  readonly out: Uint8Array;
}): void {
  const { lengths, out } = job;
  let blobs = job.buffer;
  for (let first = 0; first < lengths.length; ) {
    let end = first;
    let sizeBytes = 0;
    while (end < lengths.length && lengths[end] !== 0) sizeBytes += lengths[end++] ?? 0;
    if (end > first) {
      const run = { lengths: lengths.subarray(first, end), out: out.subarray(first * BLCKSZ, end * BLCKSZ) };
      decodeRun({ ...run, blobs, first });
    }
    blobs = blobs.subarray(sizeBytes);
    first = end + 1;
  }
}

function decodeRun(run: {
  readonly blobs: Uint8Array;
  readonly lengths: Uint32Array;
  readonly out: Uint8Array;
  readonly first: number;
}): void {
  const { blobs, lengths, out, first } = run;
  try {
    decompressor.decodePages({ blobs, lengths, pageCount: lengths.length, out });
  } catch (error) {
    const index = isNeonLayerError(error) ? error.context.pageIndex : undefined;
    throw isNeonLayerError(error) && typeof index === 'number' ? new PageFault(first + index, error) : error;
  }
}

/** Clears Neon's historical flag, which stock Postgres refuses. */
function clearNeonFlags(pages: Uint8Array): void {
  for (let offset = PD_FLAGS_OFFSET; offset < pages.length; offset += BLCKSZ) {
    const flags = pages[offset] ?? 0;
    if ((flags & PAGE_FLAG.walLogged) !== 0) pages[offset] = flags & ~PAGE_FLAG.walLogged;
  }
}

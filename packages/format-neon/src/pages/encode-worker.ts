/** Thread of the writer: verifies pages and compresses each as Neon does. */
import { createPageCompressor } from '@neon-snapshot/neon-layer';
import { BLCKSZ, createPageChecksums, decodePageHeader } from '@neon-snapshot/postgres';
import { type PageSlot, SLOT_PAGES, unpackRuns } from './page-slot.ts';
import { type JobResult, serveJobs } from './worker-loop.ts';

export interface EncodeRequest {
  readonly slot: PageSlot;
  /** Packed. */
  readonly runs: Uint32Array;
  readonly pageCount: number;
}

export interface EncodeResult {
  /** Stored length of each page, header included; the blobs lie back to back in the slot. */
  readonly lengths: Uint32Array;
  readonly faults: readonly SlotPageFault[];
}

/** A corrupt page of a slot. */
export interface SlotPageFault {
  /** Index of the page in the slot. */
  readonly index: number;
  readonly expected: number;
  readonly found: number;
}

const checksums = createPageChecksums({ pagesMax: SLOT_PAGES });
const compressor = createPageCompressor();

serveJobs(
  ({ slot, runs, pageCount }: EncodeRequest): JobResult<EncodeResult> => ({
    value: { faults: findFaults(slot, runs), lengths: compressPages(slot, pageCount) },
  }),
);

function findFaults(slot: PageSlot, runs: Uint32Array): SlotPageFault[] {
  const faults: SlotPageFault[] = [];
  let start = 0;
  for (const { count, firstBlock, hasChecksums } of unpackRuns(runs)) {
    if (hasChecksums) {
      checksums.buffer.set(slot.pages.subarray(start * BLCKSZ, (start + count) * BLCKSZ));
      const bad = checksums.verify(count, firstBlock);
      faults.push(...bad.map((index) => faultAt(index, { slotIndex: start + index, firstBlock })));
    }
    start += count;
  }
  return faults;
}

function faultAt(
  index: number,
  { slotIndex, firstBlock }: { readonly slotIndex: number; readonly firstBlock: number },
): SlotPageFault {
  const found = decodePageHeader(checksums.buffer.subarray(index * BLCKSZ)).checksum;
  return { index: slotIndex, expected: checksums.checksumAt(index, firstBlock + index), found };
}

function compressPages(slot: PageSlot, pageCount: number): Uint32Array {
  const lengths = new Uint32Array(pageCount);
  compressor.encodePages({ pages: slot.pages, pageCount, out: slot.blobs, lengths });
  return lengths;
}

import { PAGE_BLOB_SIZE_MAX } from '@neon-snapshot/neon-layer';
import { BLCKSZ } from '@neon-snapshot/postgres';

/** Pages that go to a worker in one job. */
export const SLOT_PAGES = 64;

/** Memory shared with the workers for one job: whole pages on one side, stored blobs on the other. Reused. */
export interface PageSlot {
  /** {@link SLOT_PAGES} pages. */
  readonly pages: Uint8Array;
  /** Room for that many stored blobs, headers included. */
  readonly blobs: Uint8Array;
}

export function createPageSlot(): PageSlot {
  return {
    pages: new Uint8Array(new SharedArrayBuffer(SLOT_PAGES * BLCKSZ)),
    blobs: new Uint8Array(new SharedArrayBuffer(SLOT_PAGES * PAGE_BLOB_SIZE_MAX)),
  };
}

/** Pages of one relation fork or SLRU segment, side by side in a slot. */
export interface PageRun {
  readonly count: number;
  /** Block number of the first within its fork: goes into the page checksum. */
  readonly firstBlock: number;
  /** The pages carry checksums. */
  readonly hasChecksums: boolean;
}

const RUN_WORDS = 3;

/** Runs on their way to a thread: three words each, since an array of objects costs more to copy than to work on. */
export function packRuns(runs: readonly PageRun[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(runs.length * RUN_WORDS);
  for (const [index, { count, firstBlock, hasChecksums }] of runs.entries()) {
    words[index * RUN_WORDS] = count;
    words[index * RUN_WORDS + 1] = firstBlock;
    words[index * RUN_WORDS + 2] = hasChecksums ? 1 : 0;
  }
  return words;
}

export function* unpackRuns(words: Uint32Array): Generator<PageRun, void, undefined> {
  for (let at = 0; at < words.length; at += RUN_WORDS) {
    yield { count: words[at] ?? 0, firstBlock: words[at + 1] ?? 0, hasChecksums: words[at + 2] === 1 };
  }
}

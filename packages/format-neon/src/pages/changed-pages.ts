/** What delta layers hold for the pages of a job, on its way to a thread. */
import type { PageBatch } from '@neon-snapshot/neon-layer';
import type { ForkNumber, RelTag } from '@neon-snapshot/postgres';

export interface ChangedPages {
  readonly postgresMajor: number;
  /** Packed, see {@link unpackChangedPages}. */
  readonly pages: Uint32Array<ArrayBuffer>;
  /** Of the changes, page after page, oldest first. */
  readonly lsns: BigUint64Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** Stored values of delta layers, back to back. */
  readonly blobs: Uint8Array<ArrayBuffer>;
}

/** One page that delta layers changed. */
export interface ChangedPage {
  /** Which page of the job. */
  readonly index: number;
  readonly changeCount: number;
  readonly tag: RelTag;
  readonly blockNumber: number;
}

const PAGE_WORDS = 7;

/** The changes of the kept pages of a batch (ascending); undefined where they have none. */
export function packChangedPages(
  batch: PageBatch,
  { kept, postgresMajor }: { readonly kept: readonly number[]; readonly postgresMajor: number },
): ChangedPages | undefined {
  const { changes } = batch;
  if (changes === undefined) return undefined;
  const words: number[] = [];
  const taken: number[] = [];
  const isWhole = kept.length === batch.pageCount;
  for (let at = 0, keptIndex = 0, runIndex = 0; at < changes.positions.length; ) {
    const position = changes.positions[at] ?? 0;
    let end = at + 1;
    while (end < changes.positions.length && changes.positions[end] === position) end += 1;
    while ((kept[keptIndex] ?? position) < position) keptIndex += 1;
    while (position >= (batch.runs[runIndex]?.pageEnd ?? position + 1)) runIndex += 1;
    const tag = batch.runs[runIndex]?.tag;
    if (kept[keptIndex] === position && tag !== undefined) {
      const { spcNode, dbNode, relNode, forkNum } = tag;
      const blockNumber = batch.blockNumbers[position] ?? 0;
      words.push(keptIndex, end - at, spcNode, dbNode, relNode, forkNum, blockNumber);
      if (!isWhole) for (let change = at; change < end; change += 1) taken.push(change);
    }
    at = end;
  }
  if (words.length === 0) return undefined;
  const pages = Uint32Array.from(words);
  const { lsns, lengths, blobs } = changes;
  if (isWhole) return { postgresMajor, pages, lsns, lengths, blobs };
  return { postgresMajor, pages, ...takeChanges(changes, taken) };
}

/** Buffers that go over to the thread. */
export function transferOf(changed: ChangedPages | undefined): ArrayBuffer[] {
  if (changed === undefined) return [];
  return [changed.pages.buffer, changed.lsns.buffer, changed.lengths.buffer, changed.blobs.buffer];
}

export function* unpackChangedPages(words: Uint32Array): Generator<ChangedPage, void, undefined> {
  for (let at = 0; at < words.length; at += PAGE_WORDS) {
    const word = (field: number): number => words[at + field] ?? 0;
    const tag = { spcNode: word(2), dbNode: word(3), relNode: word(4), forkNum: forkNumber(word(5)) };
    yield { index: word(0), changeCount: word(1), tag, blockNumber: word(6) };
  }
}

function takeChanges(
  { lsns, lengths, blobs }: NonNullable<PageBatch['changes']>,
  taken: readonly number[],
): Pick<ChangedPages, 'lsns' | 'lengths' | 'blobs'> {
  const keptLengths = Uint32Array.from(taken, (change) => lengths[change] ?? 0);
  const keptBlobs = new Uint8Array(keptLengths.reduce((sum, length) => sum + length, 0));
  let change = 0;
  let offset = 0;
  let end = 0;
  for (const [index, wanted] of taken.entries()) {
    for (; change < wanted; change += 1) offset += lengths[change] ?? 0;
    const length = keptLengths[index] ?? 0;
    keptBlobs.set(blobs.subarray(offset, offset + length), end);
    end += length;
  }
  return {
    lsns: BigUint64Array.from(taken, (each) => lsns[each] ?? 0n),
    lengths: keptLengths,
    blobs: keptBlobs,
  };
}

function forkNumber(value: number): ForkNumber {
  return value === 1 || value === 2 || value === 3 ? value : 0;
}

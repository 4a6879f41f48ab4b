import { type FileEntry, releaseChunk } from '@neon-snapshot/format-core';

/** Bytes of a page of relations and SLRUs. */
export const BLOCK_BYTES = 8192;
/** Bytes of each side that are compared at once. */
const RUN_BYTES = 128 * BLOCK_BYTES;
/** Where `pd_checksum` lies in a relation page; what it says follows from the rest and from the cluster's setting. */
const CHECKSUM_OFFSET = 8;
const CHECKSUM_END = 10;
/** Differing blocks that are named. */
const NAMED_BLOCKS_MAX = 10;

export interface BodyDifference {
  /** Blocks of 8 KiB that differ, those that only one side has included. */
  readonly differingBlocks: number;
  /** Numbers within the file, the first ones. */
  readonly firstBlocks: readonly number[];
}

type Body = Pick<FileEntry, 'sizeBytes' | 'body'>;

/**
 * Reads two bodies side by side to their ends. Undefined where they are equal; of relation pages the checksum does not count.
 */
export async function compareBodies(
  a: Body,
  b: Body,
  options: { readonly isRelation: boolean },
): Promise<BodyDifference | undefined> {
  // Most files are small: buffers of the full size for each cost more than all the reading.
  const runBytes = Math.min(RUN_BYTES, Math.max(1, a.sizeBytes, b.sizeBytes));
  const [left, right] = [runsOf(a.body, runBytes), runsOf(b.body, runBytes)];
  const firstBlocks: number[] = [];
  let differingBlocks = 0;
  for (let firstBlock = 0; ; firstBlock += RUN_BYTES / BLOCK_BYTES) {
    const [own, other] = [await left.next(), await right.next()];
    if (own.done === true && other.done === true) break;
    const pair = { own: own.value ?? EMPTY, other: other.value ?? EMPTY };
    for (const block of differingBlocksOf(pair, options.isRelation)) {
      differingBlocks += 1;
      if (firstBlocks.length < NAMED_BLOCKS_MAX) firstBlocks.push(firstBlock + block);
    }
  }
  return differingBlocks === 0 ? undefined : { differingBlocks, firstBlocks };
}

const EMPTY = new Uint8Array(0);

function* differingBlocksOf(
  { own, other }: { readonly own: Uint8Array; readonly other: Uint8Array },
  isRelation: boolean,
): Generator<number> {
  if (own.length === other.length && Buffer.compare(own, other) === 0) return;
  const length = Math.max(own.length, other.length);
  for (let start = 0; start < length; start += BLOCK_BYTES) {
    const end = start + BLOCK_BYTES;
    if (!isSameBlock(own.subarray(start, end), other.subarray(start, end), isRelation))
      yield start / BLOCK_BYTES;
  }
}

function isSameBlock(a: Uint8Array, b: Uint8Array, isRelation: boolean): boolean {
  if (Buffer.compare(a, b) === 0) return true;
  if (!isRelation || a.length !== b.length || a.length < CHECKSUM_END) return false;
  return (
    Buffer.compare(a.subarray(0, CHECKSUM_OFFSET), b.subarray(0, CHECKSUM_OFFSET)) === 0 &&
    Buffer.compare(a.subarray(CHECKSUM_END), b.subarray(CHECKSUM_END)) === 0
  );
}

/** The same bytes in pieces of `runBytes`; the last one may be shorter. A piece is valid until the next one. */
async function* runsOf(
  body: AsyncIterable<Uint8Array>,
  runBytes: number,
): AsyncGenerator<Uint8Array, undefined, undefined> {
  const run = new Uint8Array(runBytes);
  let filled = 0;
  for await (const chunk of body) {
    for (let offset = 0; offset < chunk.length; ) {
      const part = chunk.subarray(offset, offset + runBytes - filled);
      run.set(part, filled);
      filled += part.length;
      offset += part.length;
      if (filled < runBytes) continue;
      yield run;
      filled = 0;
    }
    releaseChunk(chunk);
  }
  if (filled > 0) yield run.subarray(0, filled);
  return undefined;
}

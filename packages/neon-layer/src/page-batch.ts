import type { RelTag } from '@neon-snapshot/postgres';
import { decodeBlobHeader, writeBlobHeader } from './blob.ts';
import { describeKey } from './describe-key.ts';
import { blobAt, type FetchedUnit, nameValue } from './fetch-unit.ts';
import { KEY_PREFIX_SIZE, KEY_SIZE, keyToHex } from './key.ts';
import { parseKey } from './key-kind.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOCK_SIZE } from './layer-format.ts';

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

/** Stored pages in key order, ready to be handed to a worker: all arrays are the batch's own and may be transferred. */
export interface PageBatch {
  readonly pageCount: number;
  /** Relation forks in key order; one fork may go on in the next batch. */
  readonly runs: readonly PageRun[];
  /** Block number of each page. Blocks that the timeline does not have are absent. */
  readonly blockNumbers: Uint32Array<ArrayBuffer>;
  /** Stored blobs (header and payload) back to back: for `PageDecompressor.decodePages`, or for another layer. */
  readonly blobs: Uint8Array<ArrayBuffer>;
  /** Bytes of each blob. */
  readonly lengths: Uint32Array<ArrayBuffer>;
}

/** Cuts a unit of relation pages into batches. */
export function* batchesOf(fetched: FetchedUnit): Generator<PageBatch> {
  for (let start = 0; start < fetched.unit.count; start += BATCH_PAGES_MAX) {
    yield batchOf(fetched, start, Math.min(start + BATCH_PAGES_MAX, fetched.unit.count));
  }
}

function batchOf(fetched: FetchedUnit, start: number, end: number): PageBatch {
  const { keys } = fetched.unit;
  const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const pageCount = end - start;
  const lengths = new Uint32Array(pageCount);
  const blockNumbers = new Uint32Array(pageCount);
  let size = 0;
  for (let i = 0; i < pageCount; i += 1) {
    blockNumbers[i] = keyView.getUint32((start + i) * KEY_SIZE + KEY_PREFIX_SIZE);
    const length = fetched.values.has(start + i) ? 4 + BLOCK_SIZE : storedLength(fetched, start + i);
    lengths[i] = length;
    size += length;
  }
  const blobs = new Uint8Array(size);
  copyBlobs(fetched, { start, lengths, blobs });
  return { pageCount, runs: runsOf(keys, start, end), blockNumbers, blobs, lengths };
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
    const value = fetched.values.get(start + i);
    if (value === undefined) {
      blobs.set(blobAt(fetched, start + i).subarray(0, length), offset);
    } else {
      if (value.length !== BLOCK_SIZE) throw wrongPageSize(fetched, start + i, value.length);
      writeBlobHeader(blobs, offset, { payloadSize: value.length, compressed: false });
      blobs.set(value, offset + 4);
    }
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

function wrongPageSize(fetched: FetchedUnit, index: number, sizeBytes: number): NeonLayerError {
  const key = fetched.unit.keys.subarray(index * KEY_SIZE, (index + 1) * KEY_SIZE);
  return new NeonLayerError({
    code: 'NEON_LAYER_CORRUPT',
    operation: 'read',
    message: `${describeKey(key)} has ${sizeBytes} bytes, expected ${BLOCK_SIZE}.`,
    context: { key: keyToHex(key), sizeBytes },
  });
}

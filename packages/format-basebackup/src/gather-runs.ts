import { FormatError, reusableChunk } from '@neon-snapshot/format-core';
import { BLCKSZ } from '@neon-snapshot/postgres';

/** A whole number of pages; large enough that what each chunk costs on its way is little beside its bytes. */
const RUN_SIZE_BYTES = 512 * 1024;
/** Runs that are kept for use again, of all readers together. */
const FREE_COUNT_MAX = 8;

const free: Uint8Array[] = [];

/**
 * The bytes of a body in runs of 512 KiB, copied into memory that comes back when its receiver releases it (`releaseChunk`): members
 * of tars start at multiples of 512, and servers send 32 KiB at a time. A relation that is no whole number of pages is `FORMAT_TRUNCATED`.
 */
export async function* gatherRuns(
  body: AsyncIterable<Uint8Array>,
  file: { readonly path: string; readonly sizeBytes: number; readonly isRelation: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { path, sizeBytes, isRelation } = file;
  if (isRelation && sizeBytes % BLCKSZ !== 0) {
    throw new FormatError({
      code: 'FORMAT_TRUNCATED',
      operation: 'read relation file',
      message: `${path} has ${sizeBytes} bytes, which is no whole number of pages of ${BLCKSZ}`,
      context: { path, sizeBytes },
    });
  }
  let left = sizeBytes;
  let run = takeRun(left);
  let used = 0;
  for await (const chunk of body) {
    for (let start = 0; start < chunk.length; ) {
      const part = chunk.subarray(start, start + run.length - used);
      run.set(part, used);
      used += part.length;
      start += part.length;
      left -= part.length;
      if (used < run.length) continue;
      yield run;
      run = takeRun(left);
      used = 0;
      if (run.length === 0) break;
    }
  }
  if (used > 0) yield run.subarray(0, used);
}

/** Of small files as much as they have: their bytes may be kept by many at a time. */
function takeRun(left: number): Uint8Array {
  if (left < RUN_SIZE_BYTES) return new Uint8Array(left);
  const memory = free.pop() ?? new Uint8Array(RUN_SIZE_BYTES);
  return reusableChunk(memory.subarray(), () => {
    if (free.length < FREE_COUNT_MAX) free.push(memory);
  });
}

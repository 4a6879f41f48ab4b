import { BLCKSZ } from '@neon-snapshot/postgres';
import { FormatError } from './format-error.ts';

export interface PageRunOptions {
  /** Longest run, in pages; every run but the last of a file may be shorter too, where that saves a copy. */
  readonly pageCountMax: number;
  /** For the error message. */
  readonly path: string;
}

/**
 * Regroups the chunks of a relation file into runs of whole pages. A chunk that is already one passes through without a
 * copy; the runs are owned by the receiver if the chunks were. A file that is no whole number of pages is `FORMAT_TRUNCATED`.
 */
export async function* pageRuns(
  chunks: AsyncIterable<Uint8Array>,
  options: PageRunOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const runBytesMax = options.pageCountMax * BLCKSZ;
  let pending = new Uint8Array(0);
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    if (pendingBytes > 0) {
      const taken = rest.subarray(0, pending.length - pendingBytes);
      pending.set(taken, pendingBytes);
      pendingBytes += taken.length;
      rest = rest.subarray(taken.length);
      if (pendingBytes < pending.length) continue;
      yield pending;
      pendingBytes = 0;
    }
    const wholeBytes = rest.length - (rest.length % BLCKSZ);
    for (let offset = 0; offset < wholeBytes; offset += runBytesMax) {
      yield rest.subarray(offset, Math.min(offset + runBytesMax, wholeBytes));
    }
    if (wholeBytes < rest.length) {
      // A fresh buffer for each: the one before belongs to the receiver.
      pending = new Uint8Array(runBytesMax);
      pending.set(rest.subarray(wholeBytes));
      pendingBytes = rest.length - wholeBytes;
    }
  }
  if (pendingBytes % BLCKSZ !== 0) {
    throw new FormatError({
      code: 'FORMAT_TRUNCATED',
      operation: 'read relation file',
      message: `${options.path} ends inside a page: its last page has ${pendingBytes % BLCKSZ} of ${BLCKSZ} bytes`,
      context: { path: options.path },
    });
  }
  if (pendingBytes > 0) yield pending.subarray(0, pendingBytes);
}

import { isStorageError, StorageError } from '@neon-snapshot/storage-core';
import type { ExpectedChecksum } from './checksum.ts';
import type { S3Context } from './context.ts';
import { type OpenedBody, openBody } from './open-body.ts';

export interface ResumingBodyOptions {
  readonly context: S3Context;
  readonly key: string;
  readonly signal: AbortSignal | undefined;
  readonly first: OpenedBody;
  readonly checksum: ExpectedChecksum | undefined;
}

/**
 * The bytes of an open reply. When the connection breaks or ends early, the rest is asked for from the byte after the
 * last one received, of the same version of the object only. Failures count anew whenever bytes have arrived.
 */
export async function* resumingBody(options: ResumingBodyOptions): AsyncGenerator<Uint8Array> {
  const { context, key, signal, first, checksum } = options;
  const { end } = first;
  let { stream } = first;
  let position = first.offset;
  let failures = 0;
  try {
    for (;;) {
      const outcome = yield* drain(stream, (chunk) => {
        position += chunk.byteLength;
        failures = 0;
        if (position > end) throw lengthError(key, position, end);
        checksum?.update(chunk);
      });
      if (position === end) break;
      failures++;
      const place = { operation: 'get', key, signal } as const;
      const error =
        outcome === undefined
          ? lengthError(key, position, end)
          : context.requester.translate(outcome.error, place);
      await context.requester.pause(failures, error, place, context.config.rangeRetriesMax);
      const range = { offset: position, length: end - position };
      stream = (await reopen(options, range)).stream;
    }
  } finally {
    stream.destroy();
  }
  const mismatch = checksum?.mismatch();
  if (mismatch !== undefined) throw checksumError(key, mismatch);
}

/** Yields the chunks of one connection; returns how it ended: undefined for an orderly end. */
async function* drain(
  stream: AsyncIterable<Uint8Array>,
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array, { readonly error: unknown } | undefined> {
  const chunks = stream[Symbol.asyncIterator]();
  for (;;) {
    let result: IteratorResult<Uint8Array>;
    try {
      result = await chunks.next();
    } catch (error) {
      return { error };
    }
    if (result.done === true) return undefined;
    onChunk(result.value);
    yield result.value;
  }
}

async function reopen(
  { context, key, signal, first }: ResumingBodyOptions,
  range: { readonly offset: number; readonly length: number },
): Promise<OpenedBody> {
  const { etag } = first.info;
  let next: OpenedBody;
  try {
    next = await openBody(context, key, { range, signal, etag });
  } catch (error) {
    if (isStorageError(error, 'STORAGE_PRECONDITION_FAILED')) throw replacedError(key, etag, undefined);
    throw error;
  }
  if (next.info.etag === etag && next.info.sizeBytes === first.info.sizeBytes) return next;
  next.stream.destroy();
  throw replacedError(key, etag, next.info.etag);
}

function replacedError(
  key: string,
  expectedEtag: string | undefined,
  foundEtag: string | undefined,
): StorageError {
  return new StorageError({
    code: 'STORAGE_PRECONDITION_FAILED',
    operation: 'get',
    message: `${key} was replaced while it was being read; read it again from the start`,
    key,
    context: { expectedEtag, foundEtag },
  });
}

function lengthError(key: string, position: number, end: number): StorageError {
  return new StorageError({
    code: 'STORAGE_TRUNCATED',
    operation: 'get',
    message: `the body of ${key} ended at byte ${position}, expected was ${end}`,
    key,
    retryable: position < end,
    context: { position, end },
  });
}

function checksumError(
  key: string,
  mismatch: { readonly expected: string; readonly found: string },
): StorageError {
  return new StorageError({
    code: 'STORAGE_CHECKSUM_MISMATCH',
    operation: 'get',
    message: `the bytes of ${key} do not match the checksum that it was stored with (expected ${mismatch.expected}, found ${mismatch.found})`,
    key,
    context: { ...mismatch },
  });
}

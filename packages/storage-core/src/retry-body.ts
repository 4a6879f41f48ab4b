import { resolveRange } from './call-checks.ts';
import type { RetryLoop } from './retry-loop.ts';
import type { GetOptions, GetResult, ObjectInfo, Storage } from './storage.ts';
import { StorageError } from './storage-error.ts';

export interface ResumingBodyOptions {
  readonly inner: Storage;
  readonly loop: RetryLoop;
  readonly key: string;
  readonly options: GetOptions;
  readonly first: GetResult;
}

/**
 * A body that, when it breaks, is asked for again from the byte after the last one received. A body that ends early
 * without an error counts as broken. Another version of the object than at first is `STORAGE_PRECONDITION_FAILED`.
 */
export async function* resumingBody(call: ResumingBodyOptions): AsyncGenerator<Uint8Array> {
  const { loop, key, options, first } = call;
  const { offset, end } = resolveRange({ key, range: options.range, sizeBytes: first.info.sizeBytes });
  const place = { operation: 'get', key, signal: options.signal } as const;
  let position = offset;
  let iterator = first.body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await loop.run(place, async (attempt) => {
        if (attempt > 1) iterator = await reopen(call, { offset: position, length: end - position });
        const next = await iterator.next();
        if (next.done === true && position < end) throw endedEarly(key, position, end);
        return next;
      });
      if (result.done === true) return;
      position += result.value.byteLength;
      yield result.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function reopen(
  { inner, key, options, first }: ResumingBodyOptions,
  range: { readonly offset: number; readonly length: number },
): Promise<AsyncIterator<Uint8Array>> {
  const { info, body } = await inner.get(key, { ...options, range });
  const iterator = body[Symbol.asyncIterator]();
  if (isSameVersion(first.info, info)) return iterator;
  await iterator.return?.();
  throw new StorageError({
    code: 'STORAGE_PRECONDITION_FAILED',
    operation: 'get',
    message: `${key} was replaced while it was being read; read it again from the start`,
    key,
    context: { expectedEtag: first.info.etag, foundEtag: info.etag },
  });
}

/** By etag, or by size and time where there is none. */
function isSameVersion(a: ObjectInfo, b: ObjectInfo): boolean {
  if (a.etag !== undefined || b.etag !== undefined) return a.etag === b.etag;
  return a.sizeBytes === b.sizeBytes && a.modifiedAt?.getTime() === b.modifiedAt?.getTime();
}

function endedEarly(key: string, position: number, end: number): StorageError {
  return new StorageError({
    code: 'STORAGE_TRUNCATED',
    operation: 'get',
    message: `the body of ${key} ended at byte ${position}, before byte ${end}`,
    key,
    retryable: true,
    context: { position, end },
  });
}

import { forwardStorage } from './forward-storage.ts';
import { resumingBody } from './retry-body.ts';
import { createRetryLoop, type RetryOptions } from './retry-loop.ts';
import type { ListOptions, ListPage, PutBody, PutOptions, Storage } from './storage.ts';
import { compareKeys } from './storage-key.ts';

/**
 * Repeats calls that failed with a `retryable` error, with full-jitter backoff. What a repeat may do:
 *
 * - `head`, `delete`, `copy`: the same call again.
 * - `get`: a body that breaks is resumed at its offset, after checking that it is still the same version; attempts
 *   count anew whenever bytes have arrived.
 * - `list`: goes on after the last key that was handed out.
 * - `put`: only while nothing of a streamed body was taken (an array can always be sent again). A conditional put is
 *   repeated only after `STORAGE_THROTTLED`, which says that nothing was done: after any other failure the first
 *   attempt may have won, and a repeat would report its own success as somebody else's.
 */
export function withRetry(inner: Storage, options: RetryOptions): Storage {
  const loop = createRetryLoop(options);
  const innerCopy = inner.copy?.bind(inner);
  return forwardStorage(inner, {
    head: (key, call) =>
      loop.run({ operation: 'head', key, signal: call?.signal }, () => inner.head(key, call)),
    delete: (keys, call) =>
      loop.run({ operation: 'delete', key: keys[0], signal: call?.signal }, () => inner.delete(keys, call)),
    async get(key, call = {}) {
      const first = await loop.run({ operation: 'get', key, signal: call.signal }, () =>
        inner.get(key, call),
      );
      return { info: first.info, body: resumingBody({ inner, loop, key, options: call, first }) };
    },
    list: (call = {}) => resumingList(inner, loop, call),
    put: (key, body, call = {}) => retryingPut({ inner, loop, key, body, options: call }),
    ...(innerCopy === undefined
      ? {}
      : {
          copy: (from, to, call) =>
            loop.run({ operation: 'copy', key: from, signal: call?.signal }, () => innerCopy(from, to, call)),
        }),
  });
}

type RetryLoop = ReturnType<typeof createRetryLoop>;

async function* resumingList(
  inner: Storage,
  loop: RetryLoop,
  options: ListOptions,
): AsyncGenerator<ListPage> {
  const place = { operation: 'list', signal: options.signal } as const;
  let startAfter = options.startAfter;
  let lastPrefix: string | undefined;
  const open = () =>
    inner.list({ ...options, ...(startAfter === undefined ? {} : { startAfter }) })[Symbol.asyncIterator]();
  let pages = open();
  try {
    for (;;) {
      const page = await loop.run(place, (attempt) => {
        if (attempt > 1) pages = open();
        return pages.next();
      });
      if (page.done === true) return;
      // Going on after a folded prefix finds the keys inside it and folds them to the same prefix again.
      const prefixes = page.value.prefixes.filter((each) => each !== lastPrefix);
      if (page.value.objects.length + prefixes.length === 0) continue;
      lastPrefix = prefixes.at(-1) ?? lastPrefix;
      startAfter = [startAfter, page.value.objects.at(-1)?.key, lastPrefix]
        .filter((each) => each !== undefined)
        .sort(compareKeys)
        .at(-1);
      yield { objects: page.value.objects, prefixes };
    }
  } finally {
    await pages.return?.();
  }
}

async function retryingPut(call: {
  readonly inner: Storage;
  readonly loop: RetryLoop;
  readonly key: string;
  readonly body: PutBody;
  readonly options: PutOptions;
}) {
  const { inner, loop, key, body, options } = call;
  const conditional = options.ifNoneMatch !== undefined || options.ifMatch !== undefined;
  const once = body instanceof Uint8Array ? undefined : watchConsumption(body);
  return loop.run(
    {
      operation: 'put',
      key,
      signal: options.signal,
      mayRepeat: (error) => once?.consumed !== true && (!conditional || error.code === 'STORAGE_THROTTLED'),
    },
    () => inner.put(key, once?.body ?? body, options),
  );
}

/** Tells whether anybody has asked the body for anything, its end included. */
function watchConsumption(body: AsyncIterable<Uint8Array>): {
  readonly consumed: boolean;
  readonly body: AsyncIterable<Uint8Array>;
} {
  const state = {
    consumed: false,
    body: {
      [Symbol.asyncIterator]() {
        state.consumed = true;
        return body[Symbol.asyncIterator]();
      },
    },
  };
  return state;
}

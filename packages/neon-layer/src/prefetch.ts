export interface PrefetchOptions<T, R> {
  readonly fetch: (item: T, signal: AbortSignal) => Promise<R>;
  readonly sizeOf: (item: T) => number;
  /** Sum of the sizes under way or waiting at most; one item is always fetched. */
  readonly sizeMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** Fetches items ahead of their use, bounded by their sizes, and gives the results in order. */
export async function* prefetch<T, R>(
  items: AsyncIterator<T>,
  options: PrefetchOptions<T, R>,
): AsyncGenerator<R> {
  const abort = new AbortController();
  const signal =
    options.signal === undefined ? abort.signal : AbortSignal.any([abort.signal, options.signal]);
  const queue: { readonly size: number; readonly result: Promise<R> }[] = [];
  let size = 0;
  let ended = false;
  try {
    for (;;) {
      while (!ended && (queue.length === 0 || size < options.sizeMax)) {
        const next = await items.next();
        if (next.done === true) {
          ended = true;
          break;
        }
        const result = options.fetch(next.value, signal);
        // Its failure shows when its turn comes, or never when the reader stops before.
        result.catch(() => {});
        const own = options.sizeOf(next.value);
        queue.push({ size: own, result });
        size += own;
      }
      const first = queue.shift();
      if (first === undefined) return;
      yield await first.result;
      size -= first.size;
    }
  } finally {
    abort.abort();
    await Promise.allSettled(queue.map(({ result }) => result));
    await items.return?.();
  }
}

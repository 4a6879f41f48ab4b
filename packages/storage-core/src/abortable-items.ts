import { aroundEach } from './body-iterables.ts';
import { abortedError, type CallPlace, throwIfAborted } from './call-checks.ts';

/**
 * The items of a source until the signal aborts: then `STORAGE_ABORTED` at once, also while the source is stuck, and
 * the source is told to let go. For backends that take a streamed body.
 */
export function abortableItems<Item>(
  source: AsyncIterable<Item>,
  call: CallPlace & { readonly signal: AbortSignal | undefined },
): AsyncIterable<Item> {
  const { signal } = call;
  if (signal === undefined) return source;
  return aroundEach(source, async (next) => {
    throwIfAborted(signal, call);
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(abortedError(signal, call));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([next(), aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  });
}

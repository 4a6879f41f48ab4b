import type { Storage } from '@neon-snapshot/storage-core';

/** The same storage; tells the key of each put before it happens. */
export function watchPuts(inner: Storage, onPut: (key: string) => void): Storage {
  return {
    url: inner.url,
    capability: { ...inner.capability, serverSideCopy: false },
    head: (key, options) => inner.head(key, options),
    get: (key, options) => inner.get(key, options),
    list: (options) => inner.list(options),
    delete: (keys, options) => inner.delete(keys, options),
    put: (key, body, options) => {
      onPut(key);
      return inner.put(key, body, options);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

import type { Storage } from './storage.ts';

/** A storage whose members are `inner`'s except for the overrides; `copy` and `fileTree` only where `inner` has them. */
export function forwardStorage(inner: Storage, overrides: Partial<Storage>): Storage {
  const { copy, fileTree, ...rest } = overrides;
  const innerCopy = inner.copy?.bind(inner);
  return {
    url: inner.url,
    capability: inner.capability,
    head: (key, options) => inner.head(key, options),
    get: (key, options) => inner.get(key, options),
    list: (options) => inner.list(options),
    put: (key, body, options) => inner.put(key, body, options),
    delete: (keys, options) => inner.delete(keys, options),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    ...rest,
    ...(innerCopy === undefined ? {} : { copy: copy ?? innerCopy }),
    ...(inner.fileTree === undefined ? {} : { fileTree: fileTree ?? inner.fileTree }),
  };
}

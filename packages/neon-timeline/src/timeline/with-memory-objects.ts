import { forwardStorage, resolveRange, type Storage } from '@neon-snapshot/storage-core';

/** The storage with some objects in memory over it, which can only be read. Listings do not show them. */
export function withMemoryObjects(inner: Storage, objects: ReadonlyMap<string, Uint8Array>): Storage {
  return forwardStorage(inner, {
    head: async (key, options) => {
      const bytes = objects.get(key);
      return bytes === undefined ? inner.head(key, options) : { key, sizeBytes: bytes.length };
    },
    get: async (key, options) => {
      const bytes = objects.get(key);
      if (bytes === undefined) return inner.get(key, options);
      const info = { key, sizeBytes: bytes.length };
      const { offset, end } = resolveRange({ ...info, range: options?.range });
      return { info, body: copyOf(bytes.subarray(offset, end)) };
    },
  });
}

/** The receiver owns what it gets. */
async function* copyOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield Uint8Array.from(bytes);
}

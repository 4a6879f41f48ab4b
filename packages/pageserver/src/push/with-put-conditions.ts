import { isStorageError, type Storage, StorageError, withoutBulkVerbs } from '@neon-snapshot/storage-core';

/**
 * A storage whose puts can be told to do nothing where something is. Where the store itself cannot, this looks before it puts: as good where
 * there is one writer, which is what the caller of a page server without a true lease has vouched for.
 */
export function withPutConditions(inner: Storage): Storage {
  const { conditionalPut } = inner.capability;
  if (conditionalPut.ifNoneMatch) return inner;
  const exists = async (key: string, signal: AbortSignal | undefined): Promise<boolean> => {
    try {
      await inner.head(key, { signal });
      return true;
    } catch (error) {
      if (isStorageError(error, 'STORAGE_NOT_FOUND')) return false;
      throw error;
    }
  };
  return {
    url: inner.url,
    capability: { ...inner.capability, conditionalPut: { ...conditionalPut, ifNoneMatch: true } },
    ...withoutBulkVerbs(inner),
    head: (key, call) => inner.head(key, call),
    get: (key, call) => inner.get(key, call),
    list: (call) => inner.list(call),
    async put(key, body, call = {}) {
      const { ifNoneMatch, ...rest } = call;
      if (ifNoneMatch !== undefined && (await exists(key, call.signal))) throw taken(key, inner.url);
      return inner.put(key, body, rest);
    },
    delete: (keys, call) => inner.delete(keys, call),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

function taken(key: string, url: string): StorageError {
  return new StorageError({
    code: 'STORAGE_ALREADY_EXISTS',
    operation: 'put',
    message: `there is an object ${key} in ${url} already`,
    key,
  });
}

import { type Storage, StorageError, withoutBulkVerbs } from '@neon-snapshot/storage-core';

/** A storage that is out of reach while it is switched off. */
export interface SwitchedStorage {
  readonly storage: Storage;
  isOn: boolean;
}

export function createSwitchedStorage(inner: Storage): SwitchedStorage {
  const state = { isOn: true };
  const checked = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (!state.isOn) throw unavailable();
    return work();
  };
  return {
    storage: {
      url: inner.url,
      capability: inner.capability,
      ...withoutBulkVerbs(inner),
      head: (key, call) => checked(() => inner.head(key, call)),
      get: (key, call) => checked(() => inner.get(key, call)),
      async *list(call) {
        await checked(() => Promise.resolve());
        yield* inner.list(call);
      },
      put: (key, body, call) => checked(() => inner.put(key, body, call)),
      delete: (keys, call) => checked(() => inner.delete(keys, call)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    get isOn() {
      return state.isOn;
    },
    set isOn(isOn: boolean) {
      state.isOn = isOn;
    },
  };
}

function unavailable(): StorageError {
  return new StorageError({
    code: 'STORAGE_UNAVAILABLE',
    operation: 'put',
    message: 'the storage does not answer',
    retryable: true,
  });
}

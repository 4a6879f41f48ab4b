import { createMemoryStorage, readAll, type Storage } from '@neon-snapshot/storage-core';

export interface EventualStorage extends Storage {
  /** Makes every change visible now. */
  settle(): Promise<void>;
}

/**
 * A store in which a change is seen only after `lagReads` further calls of `head`, `get` or `list` (or `settle`): what
 * code may assume of a store that declares `consistency: 'eventual'`. No conditional puts, no copy.
 */
export function createEventualStorage(options: { readonly lagReads: number }): EventualStorage {
  const visible = createMemoryStorage({
    url: 'memory://eventual',
    capability: {
      consistency: 'eventual',
      conditionalPut: { ifNoneMatch: false, ifMatch: false },
      serverSideCopy: false,
    },
  });
  const pending: { readsLeft: number; readonly apply: () => Promise<unknown> }[] = [];
  const beforeRead = async () => {
    for (const change of pending) change.readsLeft -= 1;
    while (pending[0] !== undefined && pending[0].readsLeft < 0) await pending.shift()?.apply();
  };
  return {
    url: visible.url,
    capability: visible.capability,
    async head(key, call) {
      await beforeRead();
      return visible.head(key, call);
    },
    async get(key, call) {
      await beforeRead();
      return visible.get(key, call);
    },
    async *list(call) {
      await beforeRead();
      yield* visible.list(call);
    },
    async put(key, body, call) {
      // Refuses now what the store would refuse, without touching what is visible, and takes a copy of the body.
      const taken = createMemoryStorage({ capability: visible.capability });
      const { sizeBytes } = await taken.put(key, body, call);
      const bytes = await readAll((await taken.get(key)).body, { sizeMaxBytes: sizeBytes, key });
      pending.push({ readsLeft: options.lagReads, apply: () => visible.put(key, bytes) });
      return { sizeBytes };
    },
    async delete(keys, call) {
      await createMemoryStorage({ capability: visible.capability }).delete(keys, call);
      pending.push({ readsLeft: options.lagReads, apply: () => visible.delete(keys) });
    },
    async settle() {
      for (let change = pending.shift(); change !== undefined; change = pending.shift()) await change.apply();
    },
    [Symbol.asyncDispose]: () => visible[Symbol.asyncDispose](),
  };
}

import { setImmediate } from 'node:timers/promises';
import { type Storage, withoutBulkVerbs } from '@neon-snapshot/storage-core';

const TURNS_MAX = 6;

/** A storage whose answers, and whose work, come a random number of turns of the event loop later. */
export function createSlowStorage(inner: Storage, random: (countMax: number) => number): Storage {
  const slowly = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    for (let turns = random(TURNS_MAX); turns > 0; turns -= 1) await setImmediate();
    const result = await work();
    for (let turns = random(TURNS_MAX); turns > 0; turns -= 1) await setImmediate();
    return result;
  };
  return {
    url: inner.url,
    capability: inner.capability,
    ...withoutBulkVerbs(inner),
    head: (key, call) => slowly(() => inner.head(key, call)),
    get: (key, call) => slowly(() => inner.get(key, call)),
    async *list(call) {
      await slowly(() => Promise.resolve());
      yield* inner.list(call);
    },
    put: (key, body, call) => slowly(() => inner.put(key, body, call)),
    delete: (keys, call) => slowly(() => inner.delete(keys, call)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

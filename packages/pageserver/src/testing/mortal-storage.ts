import { type Storage, StorageError, withoutBulkVerbs } from '@neon-snapshot/storage-core';

/** A storage as one process sees it, which dies: from then on nothing of it reaches the storage, and it learns nothing. */
export interface MortalStorage {
  readonly storage: Storage;
  /** Calls so far that change something. */
  readonly changeCount: number;
  readonly isDead: boolean;
  /** Fires when it dies. */
  readonly died: AbortSignal;
  kill(): void;
}

export interface MortalStorageOptions {
  /** It dies with this change, from 1. */
  readonly dieAtChange?: number;
  /** Whether that change still reaches the storage. */
  readonly isDone?: boolean;
}

export function createMortalStorage(inner: Storage, options: MortalStorageOptions = {}): MortalStorage {
  const state = { changeCount: 0, isDead: false };
  const death = new AbortController();
  const die = () => {
    state.isDead = true;
    death.abort(dead());
  };
  const assertAlive = () => {
    if (state.isDead) throw dead();
  };
  const read = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    assertAlive();
    const result = await work();
    assertAlive();
    return result;
  };
  const change = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    assertAlive();
    state.changeCount += 1;
    const isLast = state.changeCount === options.dieAtChange;
    if (isLast) die();
    if (isLast && options.isDone !== true) throw dead();
    const result = await work();
    assertAlive();
    return result;
  };
  return {
    storage: {
      url: inner.url,
      capability: inner.capability,
      ...withoutBulkVerbs(inner),
      head: (key, call) => read(() => inner.head(key, call)),
      get: (key, call) => read(() => inner.get(key, call)),
      async *list(call) {
        assertAlive();
        yield* inner.list(call);
        assertAlive();
      },
      put: (key, body, call) => change(() => inner.put(key, body, call)),
      delete: (keys, call) => change(() => inner.delete(keys, call)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    get changeCount() {
      return state.changeCount;
    },
    get isDead() {
      return state.isDead;
    },
    died: death.signal,
    kill: die,
  };
}

function dead(): StorageError {
  return new StorageError({
    code: 'STORAGE_UNAVAILABLE',
    operation: 'put',
    message: 'the process is dead',
    retryable: true,
  });
}

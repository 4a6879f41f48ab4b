import type { VerifyCollector } from '@neon-snapshot/format-core';
import { describeKey, type RedoFunction } from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { isRedoError } from '@neon-snapshot/wal-redo';

/** Redo for a view whose values are judged: it tells of what it cannot make and goes on. */
export interface CountedRedo {
  readonly redo: RedoFunction;
  /** The value came from WAL records. */
  isRedone(value: Uint8Array): boolean;
  /** The value stands for one that could not be made. */
  isMissing(value: Uint8Array): boolean;
}

export function createCountedRedo(postgresMajor: number, collector: VerifyCollector): CountedRedo {
  for (const name of ['redone', 'redoFailed']) collector.count(name, 0);
  const redo = createValueRedo(postgresMajor);
  const missing = new Uint8Array(BLCKSZ);
  const redone = new WeakSet<Uint8Array>();
  return {
    redo: async (request, options) => {
      try {
        const value = await redo(request, options);
        collector.count('redone');
        redone.add(value);
        return value;
      } catch (error) {
        if (!isRedoError(error)) throw error;
        collector.count('redoFailed');
        const what = describeKey(request.key);
        collector.error({ code: 'REDO_FAILED', message: `${what}: ${error.message} [${error.code}]` });
        return missing;
      }
    },
    isRedone: (value) => redone.has(value),
    isMissing: (value) => value === missing,
  };
}

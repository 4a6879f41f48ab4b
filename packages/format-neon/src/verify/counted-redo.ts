import type { VerifyCollector } from '@neon-snapshot/format-core';
import { describeKey, type RedoFunction } from '@neon-snapshot/neon-layer';
import { createValueRedo, type RedoFallback } from '@neon-snapshot/neon-timeline';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { isRedoError } from '@neon-snapshot/wal-redo';
import type { StockComparison } from './stock-comparison.ts';

/** Redo for a view whose values are judged: it tells of what it cannot make and goes on. */
export interface CountedRedo {
  readonly redo: RedoFunction;
  /** The value came from WAL records. */
  isRedone(value: Uint8Array): boolean;
  /** The value stands for one that could not be made. */
  isMissing(value: Uint8Array): boolean;
}

export interface CountedRedoOptions {
  readonly postgresMajor: number;
  readonly collector: VerifyCollector;
  /** For records that redo does not know. */
  readonly fallback: RedoFallback | undefined;
  /** Gets every page that was made. */
  readonly comparison: StockComparison | undefined;
}

export function createCountedRedo(options: CountedRedoOptions): CountedRedo {
  const { postgresMajor, collector, fallback, comparison } = options;
  for (const name of ['redone', 'redoFailed']) collector.count(name, 0);
  const redo = createValueRedo(postgresMajor, { fallback });
  const missing = new Uint8Array(BLCKSZ);
  const redone = new WeakSet<Uint8Array>();
  return {
    redo: async (request, redoOptions) => {
      let value: Uint8Array;
      try {
        value = await redo(request, redoOptions);
      } catch (error) {
        if (!isRedoError(error)) throw error;
        collector.count('redoFailed');
        const what = describeKey(request.key);
        collector.error({ code: 'REDO_FAILED', message: `${what}: ${error.message} [${error.code}]` });
        return missing;
      }
      collector.count('redone');
      redone.add(value);
      await comparison?.add(request, value, redoOptions.signal);
      return value;
    },
    isRedone: (value) => redone.has(value),
    isMissing: (value) => value === missing,
  };
}

/** Redo of what a timeline's delta layers hold for one key. The same in the threads, for pages, and in the main thread. */
import type { NeonWalRecord, RedoRecord } from '@neon-snapshot/neon-layer';
import type { RelTag } from '@neon-snapshot/postgres';
import {
  applyNeonRecord,
  createRedoEngine,
  type PageRecord,
  type RedoEngine,
  RedoError,
  reconstructPage,
} from '@neon-snapshot/wal-redo';

/**
 * The engine for records that lie in a Neon timeline. Their heap layout is Neon's: in 14 and 15 a page server stores nothing
 * else (nor do we), in 16 and 17 its own records have a resource manager of their own and all others are stock. Neon's redo
 * takes hint bits as not logged, so pages come out as its page server serves them: a heap page keeps its `pd_lsn` when its
 * visibility bit is set. No start looks at that, and checksums are made anew afterwards.
 */
export function createTimelineRedo(postgresMajor: number): RedoEngine {
  return createRedoEngine({ major: postgresMajor, heapLayout: 'neon', hintBitsLogged: false });
}

export interface PageState {
  readonly tag: RelTag;
  readonly blockNumber: number;
  /** 8192 bytes, changed in place. */
  readonly page: Uint8Array;
  /** `page` holds the state before the records; where not, the first one has to make it. */
  readonly hasPage: boolean;
}

/** Applies records, oldest first, to a relation page. Throws RedoError; then the page is in no defined state. */
export function redoPage(engine: RedoEngine, state: PageState, records: readonly RedoRecord[]): void {
  const { page, tag, blockNumber } = state;
  let { hasPage } = state;
  let run: PageRecord[] = [];
  const flush = () => {
    if (run.length === 0) return;
    const base = hasPage ? page : undefined;
    reconstructPage(engine, { tag, blockNumber, base, records: run }, { into: page });
    hasPage = true;
    run = [];
  };
  for (const { lsn, record } of records) {
    if (record.kind === 'postgres') {
      run.push({ endLsn: lsn, bytes: record.record });
      continue;
    }
    flush();
    if (!hasPage) throw noBase(record);
    applyNeonRecord(page, record, lsn);
  }
  flush();
}

/** Applies records of Neon's own, oldest first, to a value that is no relation page; the base is not changed. */
export function redoValue(base: Uint8Array | undefined, records: readonly RedoRecord[]): Uint8Array {
  let value: Uint8Array | undefined = base === undefined ? undefined : Uint8Array.from(base);
  for (const { lsn, record } of records) {
    if (record.kind === 'postgres') {
      throw new RedoError({
        code: 'REDO_FOREIGN_RECORD',
        operation: 'apply record',
        message: 'A record of Postgres lies on a key that is no relation page',
      });
    }
    if (value === undefined) throw noBase(record);
    value = applyNeonRecord(value, record, lsn);
  }
  return value ?? new Uint8Array();
}

function noBase(record: NeonWalRecord): RedoError {
  return new RedoError({
    code: 'REDO_NO_BASE',
    operation: 'apply record',
    message: `${record.kind} changes a value that is not there`,
  });
}

import { formatLsn, type Lsn, type RelTag } from '@neon-snapshot/postgres';
import { StockRedoError } from './stock-redo-error.ts';

export interface StockPageRecord {
  /** End of the record: the start of the next. */
  readonly endLsn: Lsn;
  /** The whole record without WAL page headers. */
  readonly bytes: Uint8Array;
}

export interface StockPageRequest {
  readonly tag: RelTag;
  readonly blockNumber: number;
  /** 8192 bytes, only read. Needed unless the first record initializes the page or holds an image of it. */
  readonly base?: Uint8Array | undefined;
  /**
   * Oldest first; each has to refer to the block or, for one of a visibility map, change it otherwise: heap records that
   * clear bits, truncation of the relation.
   */
  readonly records: readonly StockPageRecord[];
}

/** Whose Postgres wrote the WAL. Records do not tell. */
export type HeapLayout = 'stock' | 'neon';

/** An error about one page, and where it has to do with one, a record. */
export function pageError(
  code: StockRedoError['code'],
  request: Pick<StockPageRequest, 'tag' | 'blockNumber'>,
  problem: string,
  of: {
    readonly record?: StockPageRecord;
    readonly resourceManager?: number;
    readonly info?: number;
    readonly cause?: unknown;
  } = {},
): StockRedoError {
  const { record, cause, ...kind } = of;
  const { spcNode, dbNode, relNode, forkNum } = request.tag;
  const block = `${spcNode}/${dbNode}/${relNode} fork ${forkNum} block ${request.blockNumber}`;
  const lsn = record === undefined ? undefined : formatLsn(record.endLsn);
  const where = lsn === undefined ? '' : `, record ending at ${lsn}`;
  return new StockRedoError({
    code,
    operation: 'reconstruct pages',
    message: `${block}${where}: ${problem}`,
    context: { block, ...kind, ...(lsn === undefined ? {} : { lsn }) },
    cause,
  });
}

import type { DecodedWalBlock, WalRecordDecoder } from '@neon-snapshot/postgres';
import type { Bytes } from './bytes.ts';
import type { HeapLayout, HeapRecordLayout } from './heap-layout.ts';
import type { MajorDifferences } from './major-differences.ts';
import type { RecordData } from './record-data.ts';
import { RedoFault } from './redo-fault.ts';

/** Which minors set F_TUPLES_DELETED where (gistxlog.c): see README. */
export type GistTuplesDeleted = 'none' | 'page-update' | 'page-update-and-delete';

export interface RedoSettings {
  readonly major: number;
  readonly heapLayout: HeapLayout;
  /** `XLogHintBitIsNeeded()`: data checksums or wal_log_hints. */
  readonly hintBitsLogged: boolean;
  readonly gistTuplesDeleted: GistTuplesDeleted;
  readonly differences: MajorDifferences;
}

/** What a redo routine works on: one block of one record, and its page. One per engine, reused. */
export interface RedoContext {
  readonly settings: RedoSettings;
  readonly record: WalRecordDecoder;
  /** The record's info bits, or those of the stock operation that a Neon record stands for. */
  info: number;
  block: DecodedWalBlock;
  page: Bytes;
  readonly main: RecordData;
  /** Data of `block`. */
  readonly data: RecordData;
  heap: HeapRecordLayout;
  lsnHigh: number;
  lsnLow: number;
  /** A routine clears it where Postgres leaves pd_lsn alone. */
  stampsLsn: boolean;
}

export interface ResourceManager {
  /** Name → info bits of the operations that concern pages; every other is unsupported, even with an image. */
  readonly operations: Readonly<Record<string, number>>;
  /** The info bits that tell the operation. */
  readonly operationMask: number;
  /** Changes the page. Throws RedoFault; `REDO_UNSUPPORTED_RECORD` for an operation that it doesn't know. */
  readonly redo: (context: RedoContext) => void;
  /** What is still done to a page that the record's own image restored. */
  readonly redoRestored?: (context: RedoContext) => void;
}

export function unsupportedRecord(context: RedoContext): RedoFault {
  const { resourceManager, info } = context.record;
  const what = `resource manager ${resourceManager}, info 0x${info.toString(16).padStart(2, '0')}`;
  return new RedoFault('REDO_UNSUPPORTED_RECORD', `no redo is known for ${what}, block ${context.block.id}`);
}

/** An operation that Postgres always logs with a full image of this block. */
export function missingImage(context: RedoContext): RedoFault {
  return new RedoFault(
    'REDO_INVALID_RECORD',
    `block ${context.block.id} has to come with an image to restore`,
  );
}

/** Block number of the reference with an id; `REDO_INVALID_RECORD` where there is none. */
export function blockNumberOf(context: RedoContext, id: number): number {
  const block = context.record.findBlock(id);
  if (block === undefined) throw new RedoFault('REDO_INVALID_RECORD', `there is no block ${id}`);
  return block.blockNumber;
}

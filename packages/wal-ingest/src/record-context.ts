import { formatLsn, resourceManagerName, type WalRecordDecoder } from '@neon-snapshot/postgres';
import type { CheckpointTracker } from './checkpoint-tracker.ts';
import type { HeapFlagOffsets } from './heap-layout.ts';
import { IngestError, type IngestErrorCode } from './ingest-error.ts';
import { MainDataReader } from './main-data-reader.ts';
import type { Modification } from './modification.ts';
import type { RelationCatalog } from './relation-catalog.ts';

/** The bits of `info` that say what a heap or transaction record does. */
export const OPERATION_MASK = 0x70;

/** Ends a handler's work at once, or later where values had to be read. */
export type Pending = Promise<void> | undefined;

/** What the handlers of the resource managers work with. One for an ingest; `decoded` and `modification` move on. */
export interface RecordContext {
  readonly major: number;
  readonly heapFlags: HeapFlagOffsets;
  readonly acceptsNeonRecords: boolean;
  readonly gapBlocksMax: number;
  readonly decoded: WalRecordDecoder;
  readonly modification: Modification;
  readonly checkpoint: CheckpointTracker;
  readonly relations: RelationCatalog;
}

/** A cursor over the record's main data. */
export function readMainData(context: RecordContext): MainDataReader {
  return new MainDataReader(viewMainData(context), (reason) => failRecord(context, reason));
}

/** The record's main data as a view of its bytes. */
export function viewMainData({ decoded }: RecordContext): Uint8Array {
  return decoded.bytes.subarray(decoded.mainOffset, decoded.mainOffset + decoded.mainLength);
}

/** Throws the error of a record that contradicts its format. */
export function failRecord(context: RecordContext, reason: string): never {
  throw recordError(context, 'INGEST_INVALID_RECORD', reason);
}

/** The error of this record; it names what the record is and where it ends. */
export function recordError(context: RecordContext, code: IngestErrorCode, reason: string): IngestError {
  const { resourceManager, info } = context.decoded;
  const lsn = formatLsn(context.modification.lsn);
  const name = resourceManagerName(resourceManager) ?? `resource manager ${resourceManager}`;
  return new IngestError({
    code,
    operation: 'ingest',
    message: `The WAL record that ends at ${lsn} (${name}, info 0x${info.toString(16)}): ${reason}`,
    context: { lsn, resourceManager, info },
  });
}

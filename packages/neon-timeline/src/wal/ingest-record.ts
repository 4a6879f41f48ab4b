import { formatLsn } from '@neon-snapshot/postgres';
import { isIngestError, type WalIngest } from '@neon-snapshot/wal-ingest';
import { TimelineError } from '../timeline-error.ts';
import type { StreamedWalRecord } from './wal-stream-decoder.ts';

/** Ingests a record; one that cannot be is `TIMELINE_WAL_INVALID`, which names its LSN. */
export async function ingestRecord(ingest: WalIngest, record: StreamedWalRecord): Promise<void> {
  try {
    await ingest.ingest(record);
  } catch (error) {
    if (!isIngestError(error)) throw error;
    const where = formatLsn(record.start);
    throw new TimelineError({
      code: 'TIMELINE_WAL_INVALID',
      operation: 'ingest WAL',
      message: `the record at ${where} cannot be ingested: ${error.message}`,
      context: { ...error.context, lsn: where },
      cause: error,
    });
  }
}

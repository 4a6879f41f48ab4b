/** Reads records across the pages and segments of WAL, and tells the end of WAL from damage in its middle. */
import { formatLsn, type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import { RecordCursor, type WalFault, type WalRecord, type WalSource } from './wal-record-cursor.ts';

export interface WalEnd {
  /** End of the last valid record, or where reading began. */
  readonly lsn: Lsn;
  /** `reached`: the asked-for `end`; `no-segment`: the source has no more; otherwise what ended valid WAL. */
  readonly reason: 'reached' | WalFault['kind'];
  readonly detail: string;
}

export interface ReadWalRecordsOptions extends WalSource {
  /** Start of a record (`POSTGRES_OUT_OF_RANGE` if not a multiple of 8), or of a page: there the rest of a record from before is skipped. */
  readonly start: Lsn;
  /** Stop before a record that starts here or later; WAL that ends earlier is `POSTGRES_WAL_INCOMPLETE`. */
  readonly end?: Lsn;
}

/**
 * Yields records in order and returns why it stopped. WAL ends at zeros, a page of another address (a recycled segment),
 * a bad length, CRC, or link to the record before, and a missing continuation, as it does for Postgres; but where a valid newer record lies
 * beyond that place the WAL is damaged: `POSTGRES_WAL_CORRUPT`. WAL of another cluster is `POSTGRES_INVALID`.
 */
export function* readWalRecords(options: ReadWalRecordsOptions): Generator<WalRecord, WalEnd, undefined> {
  if (options.start % 8n !== 0n) throw unaligned(options.start);
  const cursor = new RecordCursor(options);
  let position = options.start;
  let previous: Lsn | undefined;
  const first = cursor.findRecord(position);
  if (first.kind === 'fault') return judgeEnd(cursor, { position, fault: first.fault, end: options.end });
  position = first.start;
  for (;;) {
    if (options.end !== undefined && position >= options.end) {
      return { lsn: position, reason: 'reached', detail: 'end of the asked-for range' };
    }
    const result = cursor.readRecord(position, previous);
    if (result.kind === 'fault') return judgeEnd(cursor, { position, fault: result.fault, end: options.end });
    if (result.kind === 'skip') {
      position = result.next;
      continue;
    }
    yield result.record;
    position = result.record.end;
    previous = result.record.start;
  }
}

/** Why reading stopped at a fault; throws where that is no end of WAL. */
export function judgeEnd(
  cursor: RecordCursor,
  stop: { readonly position: Lsn; readonly fault: WalFault; readonly end: Lsn | undefined },
): WalEnd {
  const { position, fault } = stop;
  const where = formatLsn(position);
  const context = { lsn: where, reason: fault.kind };
  if (fault.kind === 'foreign-page') {
    throw new PostgresFormatError({
      code: 'POSTGRES_INVALID',
      operation: 'read WAL',
      message: `WAL at ${where} is another cluster's: ${fault.detail}`,
      context,
    });
  }
  const later = fault.kind === 'no-segment' ? undefined : cursor.findLaterRecord(position);
  if (later !== undefined) {
    throw new PostgresFormatError({
      code: 'POSTGRES_WAL_CORRUPT',
      operation: 'read WAL',
      message: `WAL is corrupt at ${where}: ${fault.detail}; a newer valid record follows at ${formatLsn(later)}`,
      context: { ...context, laterRecord: formatLsn(later) },
    });
  }
  if (stop.end !== undefined && lsn(position) < stop.end) {
    throw new PostgresFormatError({
      code: 'POSTGRES_WAL_INCOMPLETE',
      operation: 'read WAL',
      message: `WAL ends at ${where} (${fault.detail}); expected it up to ${formatLsn(stop.end)}`,
      context: { ...context, expectedEnd: formatLsn(stop.end) },
    });
  }
  return { lsn: position, reason: fault.kind, detail: fault.detail };
}

function unaligned(start: Lsn): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_OUT_OF_RANGE',
    operation: 'read WAL',
    message: `No WAL record can start at ${formatLsn(start)}: it is no multiple of 8`,
    context: { lsn: formatLsn(start) },
  });
}

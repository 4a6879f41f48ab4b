import {
  formatLsn,
  type Lsn,
  lsn,
  RESOURCE_MANAGER,
  RESOURCE_MANAGER_INFO_MASK,
  WalRecordDecoder,
  XLOG_INFO,
} from '@neon-snapshot/postgres';
import { WalIngest } from '@neon-snapshot/wal-ingest';
import { TimelineError } from '../timeline-error.ts';
import { ingestRecord } from '../wal/ingest-record.ts';
import { type StreamedWalRecord, WalStreamDecoder } from '../wal/wal-stream-decoder.ts';
import { LayeredState, type LayeredStateOptions } from './layered-state.ts';

export interface IngestBackupWalRequest extends Omit<LayeredStateOptions, 'layerBytesMax'> {
  /** 14 to 17. */
  readonly major: number;
  readonly systemIdentifier: bigint;
  readonly segmentSize: number;
  /** Raw WAL from `start` on, page headers included; may go on behind the end. Chunks are kept by reference. */
  readonly wal: AsyncIterable<Uint8Array>;
  /** Where the backup ends, where that is known: the WAL up to here is needed. */
  readonly end?: Lsn | undefined;
  /** A server that is no standby says with a record that the backup ended; none is consistent before it. */
  readonly hasEndRecord: boolean;
  readonly layerBytesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface IngestedBackupWal {
  /** End of the last record: the backup is consistent from here on, and only from here. */
  readonly end: Lsn;
  /** Start of that record. */
  readonly prevRecordLsn: Lsn;
}

/** Values of an open layer: twice as much is in memory while one is built. */
const LAYER_BYTES_MAX = 32 * 1024 * 1024;

/**
 * Makes the WAL that a base backup needs into L0 layers over images of its files as they were copied. `TIMELINE_WAL_TRUNCATED` where
 * it ends too early; what of damaged WAL `WalStreamDecoder` throws, `TIMELINE_WAL_INVALID` for a record that can't be ingested.
 */
export async function ingestBackupWal(request: IngestBackupWalRequest): Promise<IngestedBackupWal> {
  const { major, start, wal, signal, layerBytesMax = LAYER_BYTES_MAX } = request;
  const state = new LayeredState({ ...request, layerBytesMax });
  const ingest = await WalIngest.open({ major, heapLayout: 'stock', state, sink: state.apply });
  const decoder = new WalStreamDecoder({ ...request, start });
  const ending = new BackupEnd(request);
  for await (const chunk of wal) {
    signal?.throwIfAborted();
    decoder.push(chunk);
    while (!ending.isReached) {
      const record = nextRecord(decoder, ending);
      if (record === undefined) break;
      await ingestRecord(ingest, record);
      ending.see(record);
      await state.relieve();
    }
    if (ending.isReached) break;
  }
  const { recordEnd: end, previousRecord } = decoder;
  if (!ending.isReached || previousRecord === undefined) throw ending.tooShort(end);
  await state.finish(lsn(end + 1n));
  return { end, prevRecordLsn: previousRecord };
}

/** Zeros behind the last record are what a segment that is not full ends with. */
function nextRecord(decoder: WalStreamDecoder, ending: BackupEnd): StreamedWalRecord | undefined {
  try {
    return decoder.next();
  } catch (error) {
    const isEnd = error instanceof TimelineError && error.context.reason === 'zeros';
    throw isEnd ? ending.tooShort(decoder.recordEnd) : error;
  }
}

/** Size of the payload of XLOG_BACKUP_END: the LSN where the backup began. */
const BACKUP_END_BYTES = 8;

/** Watches for the place from which on a backup is consistent. */
class BackupEnd {
  readonly #request: IngestBackupWalRequest;
  readonly #decoder: WalRecordDecoder;
  #hasEndRecord = false;
  #position: Lsn;

  constructor(request: IngestBackupWalRequest) {
    this.#request = request;
    this.#decoder = new WalRecordDecoder(request.major);
    this.#position = request.start;
  }

  get isReached(): boolean {
    const { end, hasEndRecord } = this.#request;
    if (hasEndRecord && !this.#hasEndRecord) return false;
    return end === undefined ? hasEndRecord : this.#position >= end;
  }

  see({ bytes, end }: StreamedWalRecord): void {
    this.#position = end;
    if (bytes[17] !== RESOURCE_MANAGER.xlog) return;
    const decoder = this.#decoder;
    decoder.decode(bytes);
    if ((decoder.info & RESOURCE_MANAGER_INFO_MASK) !== XLOG_INFO.backupEnd) return;
    if (decoder.mainLength !== BACKUP_END_BYTES) return;
    const main = new DataView(bytes.buffer, bytes.byteOffset + decoder.mainOffset, BACKUP_END_BYTES);
    if (main.getBigUint64(0, true) === this.#request.start) this.#hasEndRecord = true;
  }

  tooShort(found: Lsn): TimelineError {
    const { end } = this.#request;
    const wanted =
      end !== undefined && found < end
        ? `it is needed up to ${formatLsn(end)}`
        : 'the record that ends the backup is not among it';
    return new TimelineError({
      code: 'TIMELINE_WAL_TRUNCATED',
      operation: 'ingest WAL',
      message: `the WAL of the backup ends at ${formatLsn(found)}, and ${wanted}`,
      context: { lsn: formatLsn(found), ...(end === undefined ? {} : { end: formatLsn(end) }) },
    });
  }
}

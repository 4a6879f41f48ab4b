import { CHECKPOINT_KEY } from '@neon-snapshot/neon-layer';
import {
  assertPostgresMajor,
  type CheckPoint,
  formatLsn,
  isPostgresFormatError,
  type Lsn,
  RESOURCE_MANAGER,
  type WalRecord,
  WalRecordDecoder,
} from '@neon-snapshot/postgres';
import { GAP_BLOCKS_DEFAULT, storeBlocks } from './block-references.ts';
import { CheckpointTracker } from './checkpoint-tracker.ts';
import { convertHeapRecord } from './heap-conversion.ts';
import { type HeapLayout, heapFlagOffsets, needsConversion } from './heap-layout.ts';
import { IngestError, type IngestErrorCode } from './ingest-error.ts';
import { Modification } from './modification.ts';
import type { Pending, RecordContext } from './record-context.ts';
import { RelationCatalog } from './relation-catalog.ts';
import { ingestClog } from './rmgr/clog.ts';
import { ingestDatabase } from './rmgr/database.ts';
import { ingestHeap } from './rmgr/heap.ts';
import { ingestLogicalMessage } from './rmgr/logical-message.ts';
import { ingestMultiXact } from './rmgr/multixact.ts';
import { ingestNeon, NEON_RESOURCE_MANAGER } from './rmgr/neon.ts';
import { ingestRelationMap } from './rmgr/relation-map.ts';
import { ingestReplicationOrigin } from './rmgr/replication-origin.ts';
import { ingestStandby } from './rmgr/standby.ts';
import { ingestStorage } from './rmgr/storage.ts';
import { ingestTransaction } from './rmgr/transaction.ts';
import { ingestXLog } from './rmgr/xlog.ts';
import type { IngestSink, TimelineState } from './timeline-state.ts';

/** Majors whose WAL Neon knows. */
const MAJOR_MAX = 17;
const LSN_ALIGNMENT = 8n;

export interface WalIngestOptions {
  /** 14 to 17. */
  readonly major: number;
  /** Whose Postgres wrote the WAL. There is no way to tell from the bytes, and the wrong answer ruins pages silently. */
  readonly heapLayout: HeapLayout;
  readonly state: TimelineState;
  readonly sink: IngestSink;
  /** Blocks that one record may skip behind a relation's end; default {@link GAP_BLOCKS_DEFAULT}, 32 GiB. */
  readonly gapBlocksMax?: number | undefined;
}

/** A record of `readWalRecords`, or the same facts from elsewhere: no page headers, CRC checked. */
export type IngestRecord = Pick<WalRecord, 'bytes' | 'end'>;

type Handler = (context: RecordContext) => Pending;

/** Resource managers that are not here touch nothing but the blocks that their records refer to. */
const HANDLERS: ReadonlyMap<number, Handler> = new Map([
  [RESOURCE_MANAGER.xlog, ingestXLog],
  [RESOURCE_MANAGER.transaction, ingestTransaction],
  [RESOURCE_MANAGER.storage, ingestStorage],
  [RESOURCE_MANAGER.clog, ingestClog],
  [RESOURCE_MANAGER.database, ingestDatabase],
  [RESOURCE_MANAGER.multiXact, ingestMultiXact],
  [RESOURCE_MANAGER.relationMap, ingestRelationMap],
  [RESOURCE_MANAGER.standby, ingestStandby],
  [RESOURCE_MANAGER.heap2, ingestHeap],
  [RESOURCE_MANAGER.heap, ingestHeap],
  [RESOURCE_MANAGER.replicationOrigin, ingestReplicationOrigin],
  [RESOURCE_MANAGER.logicalMessage, ingestLogicalMessage],
  [NEON_RESOURCE_MANAGER, ingestNeon],
]);

/**
 * Turns WAL records into the keys, LSNs and values that Neon's page server stores for them (specification 8). Records come
 * in order and one at a time; what a record builds on is read from the timeline's state. After an error the ingest is
 * unusable: open another one on the state that was stored.
 */
export class WalIngest {
  readonly #context: RecordContext;
  readonly #convertsHeap: boolean;
  /** The record as it is stored. */
  #raw: Uint8Array = new Uint8Array(0);
  #isBusy = false;

  /** Reads the timeline's checkpoint. Throws `INGEST_INVALID_ARGUMENT`, `INGEST_INVALID_STATE`. */
  static async open(options: WalIngestOptions): Promise<WalIngest> {
    assertMajor(options.major);
    const value = await options.state.get(CHECKPOINT_KEY);
    if (value === undefined) throw openError('INGEST_INVALID_STATE', 'The timeline has no checkpoint.');
    try {
      return new WalIngest(options, new CheckpointTracker(value, options.major));
    } catch (cause) {
      throw openError('INGEST_INVALID_STATE', "The timeline's checkpoint does not decode.", cause);
    }
  }

  private constructor(options: WalIngestOptions, checkpoint: CheckpointTracker) {
    const { major, heapLayout, state, sink } = options;
    const modification = new Modification(state, sink);
    this.#convertsHeap = needsConversion(major, heapLayout);
    this.#context = {
      major,
      heapFlags: heapFlagOffsets(major, heapLayout),
      acceptsNeonRecords: heapLayout === 'neon',
      gapBlocksMax: options.gapBlocksMax ?? GAP_BLOCKS_DEFAULT,
      decoded: new WalRecordDecoder(major),
      modification,
      checkpoint,
      relations: new RelationCatalog(modification),
    };
  }

  /** End of the last record; 0/0 before the first. */
  get lastRecordLsn(): Lsn {
    return this.#context.modification.lsn;
  }

  /** The checkpoint as it is tracked: what the checkpoint key holds after the last record. */
  get checkPoint(): CheckPoint {
    return this.#context.checkpoint.current;
  }

  /**
   * Takes the next record and hands its writes to the sink. Gives a promise only where something had to be read or the sink
   * gave one; await it before the next record. Throws or rejects with `INGEST_INVALID_RECORD`, `INGEST_UNSUPPORTED`,
   * `INGEST_INVALID_STATE`, `INGEST_TOO_LARGE`, `INGEST_OUT_OF_ORDER`, and with what reading the state fails with.
   *
   * @param record - Its bytes are kept in writes as they are, or as views of them.
   */
  ingest(record: IngestRecord): Promise<void> | undefined {
    this.#begin(record);
    const { checkpoint, decoded } = this.#context;
    if (decoded.xid !== 0) checkpoint.seeXid(decoded.xid);
    const special = HANDLERS.get(decoded.resourceManager)?.(this.#context);
    return special === undefined ? this.#storeBlocks() : special.then(() => this.#storeBlocks());
  }

  #begin({ bytes, end }: IngestRecord): void {
    const { modification, decoded } = this.#context;
    if (this.#isBusy) {
      const reason = `The record that ends at ${formatLsn(modification.lsn)} is not done, or failed.`;
      throw outOfOrder(end, reason);
    }
    if (end <= modification.lsn || end % LSN_ALIGNMENT !== 0n) {
      throw outOfOrder(end, `It cannot follow one that ends at ${formatLsn(modification.lsn)}.`);
    }
    this.#isBusy = true;
    modification.begin(end);
    decode(decoded, { bytes, end });
    this.#raw = this.#convertsHeap ? convertHeapRecord(decoded, end) : bytes;
  }

  #storeBlocks(): Pending {
    const blocks = storeBlocks(this.#context, this.#raw);
    return blocks === undefined ? this.#finish() : blocks.then(() => this.#finish());
  }

  #finish(): Pending {
    const { checkpoint, modification, relations } = this.#context;
    checkpoint.store(modification);
    const taken = modification.finish();
    relations.relieve();
    if (taken === undefined) {
      this.#isBusy = false;
      return undefined;
    }
    return taken.then(() => {
      this.#isBusy = false;
    });
  }
}

function decode(decoded: WalRecordDecoder, { bytes, end }: IngestRecord): void {
  try {
    decoded.decode(bytes);
  } catch (cause) {
    if (!isPostgresFormatError(cause)) throw cause;
    throw new IngestError({
      code: 'INGEST_INVALID_RECORD',
      operation: 'ingest',
      message: `The WAL record that ends at ${formatLsn(end)} does not decode: ${cause.message}`,
      context: { lsn: formatLsn(end) },
      cause,
    });
  }
}

function assertMajor(major: number): void {
  try {
    if (assertPostgresMajor(major) <= MAJOR_MAX) return;
  } catch (cause) {
    throw openError('INGEST_INVALID_ARGUMENT', `Neon knows WAL of Postgres 14 to 17, not ${major}.`, cause);
  }
  throw openError('INGEST_INVALID_ARGUMENT', `Neon knows WAL of Postgres 14 to 17, not ${major}.`);
}

function openError(code: IngestErrorCode, message: string, cause?: unknown): IngestError {
  return new IngestError({ code, operation: 'open', message, cause });
}

function outOfOrder(end: Lsn, reason: string): IngestError {
  return new IngestError({
    code: 'INGEST_OUT_OF_ORDER',
    operation: 'ingest',
    message: `The WAL record that ends at ${formatLsn(end)} came out of order. ${reason}`,
    context: { lsn: formatLsn(end) },
  });
}

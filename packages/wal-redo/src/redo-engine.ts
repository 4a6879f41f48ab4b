import {
  BLCKSZ,
  type DecodedWalBlock,
  formatLsn,
  isPostgresFormatError,
  type Lsn,
  lsn,
  WalRecordDecoder,
} from '@neon-snapshot/postgres';
import { Bytes, newBytes, u32 } from './bytes.ts';
import { type HeapLayout, heapRecordLayout } from './heap-layout.ts';
import { restoreImage } from './image/restore-image.ts';
import { majorDifferences, REDO_MAJORS } from './major-differences.ts';
import { isNew, stampLsn } from './page/header.ts';
import { RecordData } from './record-data.ts';
import {
  type GistTuplesDeleted,
  type RedoContext,
  type RedoSettings,
  type ResourceManager,
  unsupportedRecord,
} from './redo-context.ts';
import { RedoError } from './redo-error.ts';
import { RedoFault } from './redo-fault.ts';
import { resourceManagerFor } from './resource-managers.ts';

export interface RedoEngineOptions {
  /** 14 to 17. */
  readonly major: number;
  /** Whose Postgres wrote the WAL; never guessed, since the wrong one raises no error. */
  readonly heapLayout: HeapLayout;
  /** Data checksums or wal_log_hints in the cluster. Neon's redo takes false. */
  readonly hintBitsLogged: boolean;
  /** Default `page-update`, as primaries of most minors do. */
  readonly gistTuplesDeleted?: GistTuplesDeleted;
}

/** Applies WAL records to pages. Not re-entrant: use one for each thread. */
export interface RedoEngine {
  readonly settings: RedoSettings;
  /** A decoder of the engine's major, for `redoBlock`. */
  readonly decoder: WalRecordDecoder;
  /**
   * Applies a decoded record to the page (8192 bytes, changed in place; zeros where there is none yet) of the block at
   * an index of the record; callers that come back to pages spare time by {@link Bytes} of them. Does nothing when the page has the record already. Throws RedoError; then the page is in no
   * defined state. The record is only read.
   */
  redoBlock(record: WalRecordDecoder, blockIndex: number, page: Uint8Array | Bytes, endLsn: RedoLsn): void;
}

/** An LSN, or as a number where that is exact: hot loops spare the bigint. */
export type RedoLsn = Lsn | number;

/** Makes an engine; throws `REDO_OPTION` for a major that has no redo here. */
export function createRedoEngine(options: RedoEngineOptions): RedoEngine {
  return new Engine(resolveSettings(options));
}

class Engine implements RedoEngine {
  readonly settings: RedoSettings;
  readonly decoder: WalRecordDecoder;
  readonly #context: RedoContext & { record: WalRecordDecoder };
  readonly #heap: RedoContext['heap'];
  /** The bytes that the last record lies in: a segment holds many. */
  #record: Bytes = NO_BYTES;

  constructor(settings: RedoSettings) {
    this.settings = settings;
    this.decoder = new WalRecordDecoder(settings.major);
    this.#heap = heapRecordLayout(settings.major, settings.heapLayout);
    this.#context = {
      settings,
      record: this.decoder,
      info: 0,
      block: NO_BLOCK,
      page: NO_BYTES,
      main: new RecordData(),
      data: new RecordData(),
      heap: this.#heap,
      lsnHigh: 0,
      lsnLow: 0,
      stampsLsn: true,
    };
  }

  redoBlock(record: WalRecordDecoder, blockIndex: number, page: Uint8Array | Bytes, endLsn: RedoLsn): void {
    const block = record.block(blockIndex);
    try {
      this.#prepare(record, block, page instanceof Bytes ? page : new Bytes(page), endLsn);
      this.#apply();
    } catch (error) {
      throw located(error, { record, block, endLsn });
    }
  }

  #prepare(record: WalRecordDecoder, block: DecodedWalBlock, page: Bytes, endLsn: RedoLsn): void {
    if (page.length !== BLCKSZ) {
      throw new RedoFault('REDO_INVALID_PAGE', `a page has ${BLCKSZ} bytes; got ${page.length}`);
    }
    const context = this.#context;
    context.record = record;
    context.info = record.info;
    context.block = block;
    context.page = page;
    if (record.bytes !== this.#record.array) this.#record = new Bytes(record.bytes, record.view);
    context.main.reset(this.#record, record.mainOffset, record.mainLength);
    context.data.reset(this.#record, block.dataOffset, block.dataLength);
    context.heap = this.#heap;
    const position = Number(endLsn);
    if (Number.isSafeInteger(position)) {
      context.lsnHigh = Math.floor(position / TWO_32);
      context.lsnLow = position >>> 0;
    } else {
      context.lsnHigh = Number(BigInt(endLsn) >> 32n);
      context.lsnLow = Number(BigInt(endLsn) & 0xffff_ffffn);
    }
    context.stampsLsn = true;
  }

  #apply(): void {
    const context = this.#context;
    const { record, block, page, lsnHigh, lsnLow } = context;
    const manager = resourceManagerFor(record.resourceManager, record.info);
    if (manager === undefined) throw unsupportedRecord(context);
    if (block.applyImage) {
      this.#restore(manager);
      return;
    }
    if (!block.willInit && !isBefore(page, lsnHigh, lsnLow)) return;
    manager.redo(context);
    if (context.stampsLsn) stampLsn(page, lsnHigh, lsnLow);
  }

  #restore(manager: ResourceManager): void {
    const context = this.#context;
    const { record, block, page, lsnHigh, lsnLow } = context;
    restoreImage(record.bytes, block, page);
    if (!isNew(page)) stampLsn(page, lsnHigh, lsnLow);
    manager.redoRestored?.(context);
  }
}

const TWO_32 = 2 ** 32;
const NO_BYTES = newBytes(0);
const NO_BLOCK: DecodedWalBlock = {
  id: 0,
  forkNum: 0,
  spcNode: 0,
  dbNode: 0,
  relNode: 0,
  blockNumber: 0,
  willInit: false,
  hasImage: false,
  applyImage: false,
  compression: 0,
  imageOffset: 0,
  imageLength: 0,
  holeOffset: 0,
  holeLength: 0,
  dataOffset: 0,
  dataLength: 0,
};

/** True when the page does not have a record with this end yet. */
function isBefore(page: Bytes, lsnHigh: number, lsnLow: number): boolean {
  const high = u32(page, 0);
  return high < lsnHigh || (high === lsnHigh && u32(page, 4) < lsnLow);
}

function resolveSettings(options: RedoEngineOptions): RedoSettings {
  const { major, heapLayout, hintBitsLogged, gistTuplesDeleted = 'page-update' } = options;
  const differences = majorDifferences(major);
  if (differences === undefined) {
    throw new RedoError({
      code: 'REDO_OPTION',
      operation: 'create redo engine',
      message: `Redo of Postgres ${major} is not known; known majors are ${REDO_MAJORS.join(', ')}`,
    });
  }
  return { major, heapLayout, hintBitsLogged, gistTuplesDeleted, differences };
}

/** Says where a fault happened. Anything that is neither a fault nor a format error is our own bug and stays as it is. */
function located(
  error: unknown,
  at: { readonly record: WalRecordDecoder; readonly block: DecodedWalBlock; readonly endLsn: RedoLsn },
): unknown {
  const isFault = error instanceof RedoFault;
  if (!isFault && !isPostgresFormatError(error)) return error;
  const { resourceManager, info } = at.record;
  const { spcNode, dbNode, relNode, forkNum, blockNumber } = at.block;
  const block = `${spcNode}/${dbNode}/${relNode} fork ${forkNum} block ${blockNumber}`;
  const position = formatLsn(lsn(BigInt(at.endLsn)));
  return new RedoError({
    code: isFault ? error.code : 'REDO_INVALID_RECORD',
    operation: 'redo',
    message: `Record ending at ${position} (resource manager ${resourceManager}, info 0x${info.toString(16)}) on ${block}: ${error.message}`,
    context: { resourceManager, info, lsn: position, block },
    cause: error,
  });
}

import {
  formatLsn,
  type Lsn,
  lsn,
  resourceManagerName,
  WAL_RECORD_HEADER_SIZE,
  WalRecordDecoder,
  walRecordName,
} from '@neon-snapshot/postgres';
import type { JsonValue } from '../output/writer.ts';

/** Where a decoded record is. */
export interface RecordPlace {
  /** Start of the record; a delta layer does not keep it. */
  readonly start: Lsn | undefined;
  readonly end: Lsn;
}

/** What statistics count about a record. */
export interface RecordSize {
  readonly resourceManager: string;
  /** Without the resource manager's name. */
  readonly record: string;
  /** Without page images, as `pg_waldump` counts. */
  readonly recordBytes: number;
  readonly imageBytes: number;
}

export interface DescribedRecord {
  readonly line: string;
  readonly value: { readonly [key: string]: JsonValue };
}

const FORK_NAMES = ['main', 'fsm', 'vm', 'init'];
const PREVIOUS_OFFSET = 8;

/** Decodes records one after the other for people and programs; holds no record longer than until the next one. */
export class RecordDescriber {
  readonly #decoder: WalRecordDecoder;
  readonly #major: number;

  constructor(major: number) {
    this.#decoder = new WalRecordDecoder(major);
    this.#major = major;
  }

  /** Reads a whole record; what follows is about this one. */
  decode(bytes: Uint8Array): void {
    this.#decoder.decode(bytes);
  }

  /** `Heap`, `custom128`. */
  get resourceManager(): string {
    const { resourceManager } = this.#decoder;
    return resourceManagerName(resourceManager) ?? String(resourceManager);
  }

  size(): RecordSize {
    const { info, resourceManager, bytes } = this.#decoder;
    let imageBytes = 0;
    for (const block of this.#blocks()) if (block.hasImage) imageBytes += block.imageLength;
    return {
      resourceManager: this.resourceManager,
      record: walRecordName({ resourceManager, info, major: this.#major }) ?? `0x${(info >> 4).toString(16)}`,
      recordBytes: bytes.length - imageBytes,
      imageBytes,
    };
  }

  /** The line is `pg_waldump`'s, without what only the resource manager can say. */
  describe(place: RecordPlace): DescribedRecord {
    const { bytes, xid } = this.#decoder;
    const { resourceManager, record, recordBytes } = this.size();
    const previous = formatLsn(this.#previous());
    const blocks = this.#blocks();
    const position =
      place.start === undefined ? `end: ${waldumpLsn(place.end)}` : `lsn: ${waldumpLsn(place.start)}`;
    const numbers = `len (rec/tot): ${String(recordBytes).padStart(6)}/${String(bytes.length).padStart(6)}, tx: ${String(xid).padStart(10)}`;
    return {
      line:
        `rmgr: ${resourceManager.padEnd(11)} ${numbers}, ${position}, prev ${waldumpLsn(this.#previous())}, ` +
        `desc: ${record}${blocks.map(blockText).join('')}`,
      value: {
        lsn: place.start === undefined ? null : formatLsn(place.start),
        endLsn: formatLsn(place.end),
        previous,
        resourceManager,
        record,
        xid,
        recordBytes,
        totalBytes: bytes.length,
        blocks: blocks.map(blockValue),
      },
    };
  }

  #previous(): Lsn {
    const { bytes } = this.#decoder;
    const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_RECORD_HEADER_SIZE);
    return lsn(view.getBigUint64(PREVIOUS_OFFSET, true));
  }

  #blocks(): readonly Block[] {
    return Array.from({ length: this.#decoder.blockCount }, (_, index) => this.#decoder.block(index));
  }
}

type Block = ReturnType<WalRecordDecoder['block']>;

/** `%X/%08X`, which sorts as text within one high half; the rest of the CLI prints LSNs as `pg_lsn` does. */
function waldumpLsn(value: Lsn): string {
  const [high = '', low = ''] = formatLsn(value).split('/');
  return `${high}/${low.padStart(8, '0')}`;
}

function blockText(block: Block): string {
  const { id, spcNode, dbNode, relNode, forkNum, blockNumber } = block;
  const fork = forkNum === 0 ? '' : ` fork ${FORK_NAMES[forkNum]}`;
  const image = block.hasImage ? (block.applyImage ? ' FPW' : ' FPW for WAL verification') : '';
  return `, blkref #${id}: rel ${spcNode}/${dbNode}/${relNode}${fork} blk ${blockNumber}${image}`;
}

function blockValue(block: Block): JsonValue {
  const { id, spcNode, dbNode, relNode, forkNum, blockNumber, willInit } = block;
  return {
    id,
    relation: `${spcNode}/${dbNode}/${relNode}`,
    fork: FORK_NAMES[forkNum] ?? String(forkNum),
    blockNumber,
    willInit,
    fullPageImage: block.hasImage,
    ...(block.hasImage ? { imageBytes: block.imageLength, imageApplies: block.applyImage } : {}),
  };
}

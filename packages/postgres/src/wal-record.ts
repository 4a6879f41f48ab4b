/**
 * Content of a WAL record (xlogrecord.h), little-endian: item headers, then for each block in order its page image and
 * data, then the main data. What main data and block data mean is the resource managers' business, not decoded here.
 */
import { BLCKSZ } from './page.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import { assertPostgresMajor } from './postgres-major.ts';
import type { ForkNumber, RelTag } from './relation-path.ts';
import {
  decodeXLogRecordHeader,
  WAL_RECORD_HEADER_SIZE,
  type XLogRecordHeader,
} from './wal-record-header.ts';

export interface WalRecordContent {
  readonly header: XLogRecordHeader;
  /** Ascending by `id`. */
  readonly blocks: readonly WalBlockReference[];
  /** View of the record. */
  readonly mainData: Uint8Array;
  readonly origin?: number;
  readonly topLevelXid?: number;
}

export interface WalBlockReference {
  /** 0 to 32. */
  readonly id: number;
  readonly tag: RelTag;
  readonly blockNumber: number;
  readonly willInit: boolean;
  readonly image?: WalPageImage;
  /** View of the record; empty where there is none. */
  readonly data: Uint8Array;
}

export interface WalPageImage {
  /** View of the record: the page without its hole, compressed or not. */
  readonly bytes: Uint8Array;
  readonly holeOffset: number;
  readonly holeLength: number;
  /** False for an image that is there for a consistency check only. */
  readonly apply: boolean;
  readonly compression: 'none' | 'pglz' | 'lz4' | 'zstd';
}

const ITEM = {
  blockIdMax: 32,
  topLevelXid: 252,
  origin: 253,
  longMainData: 254,
  shortMainData: 255,
} as const;
const FORK_FLAG = {
  forkMask: 0x0f,
  hasImage: 0x10,
  hasData: 0x20,
  willInit: 0x40,
  sameRelation: 0x80,
} as const;
const FORK_MAX = 3;

interface ImageBits {
  readonly hasHole: number;
  readonly apply: number;
  readonly compression: readonly (readonly [bit: number, kind: WalPageImage['compression']])[];
}

/** `BKPIMAGE_*`: compression got a bit for each method in 15. */
const IMAGE_BITS_14: ImageBits = { hasHole: 0x01, apply: 0x04, compression: [[0x02, 'pglz']] };
const IMAGE_BITS: ImageBits = {
  hasHole: 0x01,
  apply: 0x02,
  compression: [
    [0x04, 'pglz'],
    [0x08, 'lz4'],
    [0x10, 'zstd'],
  ],
};

interface BlockHeader {
  readonly id: number;
  readonly tag: RelTag;
  readonly blockNumber: number;
  readonly willInit: boolean;
  readonly dataLength: number;
  readonly image?: Omit<WalPageImage, 'bytes'> & { readonly length: number };
}

/** Decodes a whole record whose CRC was checked; throws `POSTGRES_INVALID` or `POSTGRES_TRUNCATED`. */
export function decodeWalRecord(record: Uint8Array, major: number): WalRecordContent {
  return new RecordDecoder(record, assertPostgresMajor(major)).decode();
}

class RecordDecoder {
  readonly #record: Uint8Array;
  readonly #view: DataView;
  readonly #imageBits: ImageBits;
  readonly #blocks: BlockHeader[] = [];
  #offset = WAL_RECORD_HEADER_SIZE;
  #payloadLength = 0;
  #mainDataLength = 0;
  #ids: { origin?: number; topLevelXid?: number } = {};

  constructor(record: Uint8Array, major: number) {
    this.#record = record;
    this.#view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    this.#imageBits = major === 14 ? IMAGE_BITS_14 : IMAGE_BITS;
  }

  decode(): WalRecordContent {
    const header = decodeXLogRecordHeader(this.#record);
    if (header.totalLength !== this.#record.length) throw this.#invalid(`total length ${header.totalLength}`);
    while (this.#record.length - this.#offset > this.#payloadLength) this.#readItem();
    if (this.#record.length - this.#offset !== this.#payloadLength)
      throw this.#invalid('lengths of its parts');
    const blocks = this.#blocks.map((block) => this.#takePayload(block));
    return { header, blocks, mainData: this.#take(this.#mainDataLength), ...this.#ids };
  }

  #readItem(): void {
    const id = this.#u8();
    if (id === ITEM.shortMainData || id === ITEM.longMainData) {
      this.#mainDataLength = id === ITEM.shortMainData ? this.#u8() : this.#u32();
      this.#payloadLength += this.#mainDataLength;
      // Main data comes last: whatever is left now has to be payload.
      if (this.#record.length - this.#offset !== this.#payloadLength) throw this.#invalid('main data length');
    } else if (id === ITEM.origin) this.#ids.origin = this.#u16();
    else if (id === ITEM.topLevelXid) this.#ids.topLevelXid = this.#u32();
    else if (id <= ITEM.blockIdMax) this.#readBlockHeader(id);
    else throw this.#invalid(`item id ${id}`);
  }

  #readBlockHeader(id: number): void {
    const before = this.#blocks.at(-1);
    if (before !== undefined && id <= before.id) throw this.#invalid(`order of block id ${id}`);
    const flags = this.#u8();
    const forkNum = flags & FORK_FLAG.forkMask;
    if (forkNum > FORK_MAX) throw this.#invalid(`fork ${forkNum}`);
    const dataLength = this.#u16();
    if (((flags & FORK_FLAG.hasData) !== 0) !== dataLength > 0) throw this.#invalid('block data length');
    const image = (flags & FORK_FLAG.hasImage) === 0 ? undefined : this.#readImageHeader();
    const node = (flags & FORK_FLAG.sameRelation) === 0 ? this.#readNode() : before?.tag;
    if (node === undefined) throw this.#invalid('reference to the relation of a block before it');
    this.#payloadLength += dataLength + (image?.length ?? 0);
    this.#blocks.push({
      id,
      tag: { ...node, forkNum: forkNum as ForkNumber },
      blockNumber: this.#u32(),
      willInit: (flags & FORK_FLAG.willInit) !== 0,
      dataLength,
      ...(image === undefined ? {} : { image }),
    });
  }

  #readImageHeader(): NonNullable<BlockHeader['image']> {
    const length = this.#u16();
    const holeOffset = this.#u16();
    const info = this.#u8();
    const hasHole = (info & this.#imageBits.hasHole) !== 0;
    const compression = this.#imageBits.compression.find(([bit]) => (info & bit) !== 0)?.[1] ?? 'none';
    const isPlain = compression === 'none';
    const holeLength = isPlain ? BLCKSZ - length : hasHole ? this.#u16() : 0;
    const isHoleValid = hasHole
      ? holeOffset > 0 && holeLength > 0 && holeOffset + holeLength <= BLCKSZ
      : holeOffset === 0 && holeLength === 0;
    if (length === 0 || length > BLCKSZ || !isHoleValid) throw this.#invalid('page image');
    return { length, holeOffset, holeLength, compression, apply: (info & this.#imageBits.apply) !== 0 };
  }

  #readNode(): Omit<RelTag, 'forkNum'> {
    return { spcNode: this.#u32(), dbNode: this.#u32(), relNode: this.#u32() };
  }

  #takePayload(block: BlockHeader): WalBlockReference {
    const { id, tag, blockNumber, willInit, image: imageHeader } = block;
    if (imageHeader === undefined)
      return { id, tag, blockNumber, willInit, data: this.#take(block.dataLength) };
    const { length, ...rest } = imageHeader;
    const image = { bytes: this.#take(length), ...rest };
    return { id, tag, blockNumber, willInit, image, data: this.#take(block.dataLength) };
  }

  #take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#record.subarray(start, start + length);
  }

  #u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  #u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  #u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (start + length > this.#record.length) throw this.#invalid('length of a part');
    this.#offset = start + length;
    return start;
  }

  #invalid(what: string): PostgresFormatError {
    return new PostgresFormatError({
      code: 'POSTGRES_INVALID',
      operation: 'decode WAL record',
      message: `WAL record of ${this.#record.length} bytes is invalid at offset ${this.#offset}: ${what}`,
      context: { size: this.#record.length, offset: this.#offset },
    });
  }
}

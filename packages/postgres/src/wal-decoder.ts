/**
 * The content of WAL records (xlogrecord.h) for hot paths: one decoder is reused for any number of records and allocates
 * nothing per record or block; places are offsets into the bytes that hold the record. Checks what {@link decodeWalRecord} checks.
 */
import { BLCKSZ } from './page.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import { assertPostgresMajor } from './postgres-major.ts';
import { WAL_RECORD_CRC_OFFSET, walRecordCrcAt } from './wal-record-crc.ts';
import { WAL_RECORD_HEADER_SIZE } from './wal-record-header.ts';

/** `XLR_MAX_BLOCK_ID` of xlogrecord.h. */
export const WAL_BLOCK_ID_MAX = 32;

/** How a page image is stored in {@link DecodedWalBlock.compression}. */
export const WAL_IMAGE_COMPRESSION = { none: 0, pglz: 1, lz4: 2, zstd: 3 } as const;

/** One block reference. Overwritten by the next `decode`. Offsets are into {@link WalRecordDecoder.bytes}. */
export interface DecodedWalBlock {
  id: number;
  /** 0 main, 1 free space map, 2 visibility map, 3 init. */
  forkNum: number;
  spcNode: number;
  dbNode: number;
  relNode: number;
  blockNumber: number;
  willInit: boolean;
  hasImage: boolean;
  /** False for an image that is there for a consistency check only. */
  applyImage: boolean;
  compression: number;
  imageOffset: number;
  imageLength: number;
  holeOffset: number;
  holeLength: number;
  dataOffset: number;
  dataLength: number;
}

const ID_TOP_LEVEL_XID = 252;
const ID_ORIGIN = 253;
const ID_LONG_MAIN_DATA = 254;
const ID_SHORT_MAIN_DATA = 255;
/** A block reference (id, flags, data length, relation, block number) and the header of short main data. */
const USUAL_SIZE = 4 + 12 + 4 + 2;
const FORK_MASK = 0x0f;
const FORK_MAX = 3;
const HAS_IMAGE = 0x10;
const HAS_DATA = 0x20;
const WILL_INIT = 0x40;
const SAME_RELATION = 0x80;
const IMAGE_HAS_HOLE = 0x01;

/** `BKPIMAGE_*`: 14 has one bit for compression, 15 and later one for each method. */
const IMAGE_BITS_14 = { apply: 0x04, pglz: 0x02, lz4: 0, zstd: 0 };
const IMAGE_BITS = { apply: 0x02, pglz: 0x04, lz4: 0x08, zstd: 0x10 };

export class WalRecordDecoder {
  /** What holds the record that was decoded last: its header is at `recordOffset` (0 but after `decodeAt`). */
  bytes: Uint8Array = new Uint8Array(0);
  recordOffset = 0;
  xid = 0;
  info = 0;
  resourceManager = 0;
  mainOffset = 0;
  mainLength = 0;
  /** 0 where the record names none. */
  topLevelXid = 0;
  origin = 0;
  blockCount = 0;
  readonly #blocks: readonly DecodedWalBlock[] = Array.from({ length: WAL_BLOCK_ID_MAX + 1 }, emptyBlock);
  readonly #bits: typeof IMAGE_BITS;
  /** Of `bytes`: reads a number five times as fast as it is put together from them. */
  view: DataView = new DataView(this.bytes.buffer);
  #offset = 0;
  #end = 0;
  #payloadLength = 0;

  constructor(major: number) {
    this.#bits = assertPostgresMajor(major) === 14 ? IMAGE_BITS_14 : IMAGE_BITS;
  }

  /** The block reference at a place (not: of an id) from 0; throws `POSTGRES_OUT_OF_RANGE` from `blockCount` on. */
  block(index: number): DecodedWalBlock {
    const block = index < this.blockCount ? this.#blocks[index] : undefined;
    if (block === undefined) throw this.#error('POSTGRES_OUT_OF_RANGE', `it has no block at index ${index}`);
    return block;
  }

  /** The reference with an id, or `undefined`. */
  findBlock(id: number): DecodedWalBlock | undefined {
    for (let index = 0; index < this.blockCount; index++) {
      const block = this.#blocks[index];
      if (block?.id === id) return block;
    }
    return undefined;
  }

  /** Decodes a whole record of exactly these bytes; throws `POSTGRES_INVALID`. Does not check the CRC. */
  decode(bytes: Uint8Array): void {
    this.decodeAt(bytes, 0, bytes.length);
  }

  /** Decodes a record of `length` bytes where it lies, in the middle of a segment. */
  decodeAt(bytes: Uint8Array, offset: number, length: number): void {
    if (offset < 0 || length < 0 || offset + length > bytes.length) {
      throw this.#error('POSTGRES_OUT_OF_RANGE', `${length} bytes at ${offset} are not all there`);
    }
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.recordOffset = offset;
    this.#end = offset + length;
    this.blockCount = 0;
    this.topLevelXid = 0;
    this.origin = 0;
    this.mainLength = 0;
    this.#payloadLength = 0;
    this.#offset = offset;
    if (length < WAL_RECORD_HEADER_SIZE) throw this.#invalid('a header needs 24 bytes');
    const totalLength = this.#u32();
    if (totalLength !== length) throw this.#invalid(`total length ${totalLength}`);
    this.xid = this.#u32();
    this.#offset = offset + 16;
    this.info = this.#u8();
    this.resourceManager = this.#u8();
    this.#offset = offset + WAL_RECORD_HEADER_SIZE;
    if (this.#readUsual(offset + WAL_RECORD_HEADER_SIZE, offset + length)) return;
    while (this.#end - this.#offset > this.#payloadLength) this.#readItem();
    if (this.#end - this.#offset !== this.#payloadLength) throw this.#invalid('lengths of its parts');
    this.#placePayload();
  }

  /** True when the CRC in the record's header is that of its bytes. */
  hasValidCrc(): boolean {
    const { recordOffset } = this;
    this.#offset = recordOffset + WAL_RECORD_CRC_OFFSET;
    return this.#u32() === walRecordCrcAt(this.view, recordOffset, this.#end - recordOffset);
  }

  /**
   * Reads what most records have between their header and `end`: one block reference without an image, then short main data.
   * Gives false for all others, and for what is not right: the general way says what that is.
   */
  #readUsual(start: number, end: number): boolean {
    const { view } = this;
    const block = this.#blocks[0];
    if (block === undefined || end - start < USUAL_SIZE) return false;
    const flags = view.getUint8(start + 1);
    const dataLength = view.getUint16(start + 2, true);
    const mainLength = view.getUint8(start + USUAL_SIZE - 1);
    if (
      view.getUint8(start + USUAL_SIZE - 2) !== ID_SHORT_MAIN_DATA ||
      end - start !== USUAL_SIZE + dataLength + mainLength ||
      (flags & (HAS_IMAGE | SAME_RELATION)) !== 0 ||
      (flags & FORK_MASK) > FORK_MAX ||
      ((flags & HAS_DATA) !== 0) !== dataLength > 0
    ) {
      return false;
    }
    const id = view.getUint8(start);
    if (id > WAL_BLOCK_ID_MAX) return false;
    block.id = id;
    block.forkNum = flags & FORK_MASK;
    block.willInit = (flags & WILL_INIT) !== 0;
    block.hasImage = false;
    clearImage(block);
    block.spcNode = view.getUint32(start + 4, true);
    block.dbNode = view.getUint32(start + 8, true);
    block.relNode = view.getUint32(start + 12, true);
    block.blockNumber = view.getUint32(start + 16, true);
    block.imageOffset = start + USUAL_SIZE;
    block.dataOffset = start + USUAL_SIZE;
    block.dataLength = dataLength;
    this.blockCount = 1;
    this.mainLength = mainLength;
    this.mainOffset = start + USUAL_SIZE + dataLength;
    return true;
  }

  #readItem(): void {
    const id = this.#u8();
    if (id <= WAL_BLOCK_ID_MAX) this.#readBlockHeader(id);
    else if (id === ID_SHORT_MAIN_DATA || id === ID_LONG_MAIN_DATA) {
      this.mainLength = id === ID_SHORT_MAIN_DATA ? this.#u8() : this.#u32();
      this.#payloadLength += this.mainLength;
      // Main data comes last: whatever is left now has to be payload.
      if (this.#end - this.#offset !== this.#payloadLength) throw this.#invalid('main data length');
    } else if (id === ID_ORIGIN) this.origin = this.#u16();
    else if (id === ID_TOP_LEVEL_XID) this.topLevelXid = this.#u32();
    else throw this.#invalid(`item id ${id}`);
  }

  #readBlockHeader(id: number): void {
    const before = this.blockCount === 0 ? undefined : this.#blocks[this.blockCount - 1];
    const block = this.#blocks[this.blockCount];
    if (block === undefined || (before !== undefined && id <= before.id)) {
      throw this.#invalid(`order of block id ${id}`);
    }
    const flags = this.#u8();
    block.id = id;
    block.forkNum = flags & FORK_MASK;
    if (block.forkNum > FORK_MAX) throw this.#invalid(`fork ${block.forkNum}`);
    block.willInit = (flags & WILL_INIT) !== 0;
    block.hasImage = (flags & HAS_IMAGE) !== 0;
    block.dataLength = this.#u16();
    if (((flags & HAS_DATA) !== 0) !== block.dataLength > 0) throw this.#invalid('block data length');
    if (block.hasImage) this.#readImageHeader(block);
    else clearImage(block);
    if ((flags & SAME_RELATION) === 0) this.#readRelation(block);
    else copyRelation(before ?? this.#noRelation(), block);
    block.blockNumber = this.#u32();
    this.#payloadLength += block.dataLength + block.imageLength;
    this.blockCount++;
  }

  #readImageHeader(block: DecodedWalBlock): void {
    const length = this.#u16();
    const holeOffset = this.#u16();
    const info = this.#u8();
    const { apply, pglz, lz4, zstd } = this.#bits;
    const hasHole = (info & IMAGE_HAS_HOLE) !== 0;
    block.applyImage = (info & apply) !== 0;
    if ((info & pglz) !== 0) block.compression = WAL_IMAGE_COMPRESSION.pglz;
    else if ((info & lz4) !== 0) block.compression = WAL_IMAGE_COMPRESSION.lz4;
    else if ((info & zstd) !== 0) block.compression = WAL_IMAGE_COMPRESSION.zstd;
    else block.compression = WAL_IMAGE_COMPRESSION.none;
    const isPlain = block.compression === WAL_IMAGE_COMPRESSION.none;
    const holeLength = isPlain ? BLCKSZ - length : hasHole ? this.#u16() : 0;
    const isHoleValid = hasHole
      ? holeOffset > 0 && holeLength > 0 && holeOffset + holeLength <= BLCKSZ
      : holeOffset === 0 && holeLength === 0;
    if (length === 0 || length > BLCKSZ || !isHoleValid) throw this.#invalid('page image');
    block.imageLength = length;
    block.holeOffset = holeOffset;
    block.holeLength = holeLength;
  }

  #readRelation(block: DecodedWalBlock): void {
    block.spcNode = this.#u32();
    block.dbNode = this.#u32();
    block.relNode = this.#u32();
  }

  /** Behind the headers: for each block its image, then its data; main data last. */
  #placePayload(): void {
    let offset = this.#offset;
    for (let index = 0; index < this.blockCount; index++) {
      const block = this.block(index);
      block.imageOffset = offset;
      offset += block.imageLength;
      block.dataOffset = offset;
      offset += block.dataLength;
    }
    this.mainOffset = offset;
  }

  #u8(): number {
    return this.view.getUint8(this.#advance(1));
  }

  #u16(): number {
    return this.view.getUint16(this.#advance(2), true);
  }

  #u32(): number {
    return this.view.getUint32(this.#advance(4), true);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (start + length > this.#end) throw this.#invalid('length of a part');
    this.#offset = start + length;
    return start;
  }

  #noRelation(): never {
    throw this.#invalid('reference to the relation of a block before it');
  }

  #invalid(what: string): PostgresFormatError {
    return this.#error(
      'POSTGRES_INVALID',
      `is invalid at offset ${this.#offset - this.recordOffset}: ${what}`,
    );
  }

  #error(code: 'POSTGRES_INVALID' | 'POSTGRES_OUT_OF_RANGE', what: string): PostgresFormatError {
    const size = this.#end - this.recordOffset;
    const message = `WAL record of ${size} bytes: ${what}`;
    const context = { size, offset: this.#offset - this.recordOffset };
    return new PostgresFormatError({ code, operation: 'decode WAL record', message, context });
  }
}

function emptyBlock(): DecodedWalBlock {
  return {
    id: 0,
    forkNum: 0,
    spcNode: 0,
    dbNode: 0,
    relNode: 0,
    blockNumber: 0,
    willInit: false,
    hasImage: false,
    applyImage: false,
    compression: WAL_IMAGE_COMPRESSION.none,
    imageOffset: 0,
    imageLength: 0,
    holeOffset: 0,
    holeLength: 0,
    dataOffset: 0,
    dataLength: 0,
  };
}

function clearImage(block: DecodedWalBlock): void {
  block.applyImage = false;
  block.compression = WAL_IMAGE_COMPRESSION.none;
  block.imageLength = 0;
  block.holeOffset = 0;
  block.holeLength = 0;
}

function copyRelation(from: DecodedWalBlock, to: DecodedWalBlock): void {
  to.spcNode = from.spcNode;
  to.dbNode = from.dbNode;
  to.relNode = from.relNode;
}

import {
  type DecodedWalBlock,
  WAL_IMAGE_COMPRESSION,
  WAL_RECORD_HEADER_SIZE,
  type WalRecordDecoder,
  walRecordCrc,
} from '@neon-snapshot/postgres';
import { RecordWriter } from './record-writer.ts';

/** xlogrecord.h: ids of the items before a record's payload, and what they are long. */
const ID_BLOCK_MAX = 32;
const ID_TOP_LEVEL_XID = 252;
const ID_ORIGIN = 253;
const ID_LONG_MAIN_DATA = 254;
const ID_SHORT_MAIN_DATA = 255;
const SHORT_MAIN_DATA_MAX = 255;
/** id, length u32. */
const MAIN_HEADER_SIZE_MAX = 5;
const SAME_RELATION = 0x80;
const CRC_OFFSET = 20;
/** Of a block's header: id, fork and flags, length. */
const BLOCK_LENGTH_OFFSET = 2;

/** Writes a part of a record that is to be another; bounds: `growthMax`. */
export type PartWriter = (writer: RecordWriter) => void;

/** Parts of a record that are to be others. */
export interface RecordChanges {
  /** Data of the block with id 0, which has some. Default: as it is. */
  readonly writeBlockData?: PartWriter | undefined;
  readonly writeMainData?: PartWriter | undefined;
  /** Length of the other main data. */
  readonly mainLength: number;
  /** By how much both parts grow at most. */
  readonly growthMax: number;
}

const writer = new RecordWriter();

/** The record with other parts: lengths and CRC made anew, everything else byte for byte. Shares memory with other such records. */
export function rewriteRecord(decoded: WalRecordDecoder, changes: RecordChanges): Uint8Array {
  const { bytes, recordOffset: start, blockCount, mainOffset, mainLength } = decoded;
  writer.begin(mainOffset + mainLength - start + changes.growthMax + MAIN_HEADER_SIZE_MAX);
  writer.copy(bytes, start, start + WAL_RECORD_HEADER_SIZE);
  const firstBlockAt = writeItems(decoded, start + WAL_RECORD_HEADER_SIZE);
  writeMainHeader(changes.mainLength);
  const payload = blockCount === 0 ? mainOffset : decoded.block(0).imageOffset;
  const first = changes.writeBlockData === undefined ? undefined : decoded.findBlock(0);
  if (first === undefined) writer.copy(bytes, payload, mainOffset);
  else {
    writer.copy(bytes, payload, first.dataOffset);
    const before = writer.length;
    changes.writeBlockData?.(writer);
    writer.setU16(firstBlockAt + BLOCK_LENGTH_OFFSET, writer.length - before);
    writer.copy(bytes, first.dataOffset + first.dataLength, mainOffset);
  }
  if (changes.writeMainData === undefined) writer.copy(bytes, mainOffset, mainOffset + mainLength);
  else changes.writeMainData(writer);
  writer.setU32(0, writer.length);
  const record = writer.finish();
  const crc = walRecordCrc(record);
  for (let i = 0; i < 4; i += 1) record[CRC_OFFSET + i] = crc >>> (8 * i);
  return record;
}

/** The items before the payload, but for main data's. Gives where the header of block 0 went. */
function writeItems(decoded: WalRecordDecoder, first: number): number {
  const { bytes } = decoded;
  const end = decoded.blockCount === 0 ? decoded.mainOffset : decoded.block(0).imageOffset;
  let firstBlockAt = 0;
  for (let at = first; at < end; ) {
    const id = bytes[at] as number;
    const size = itemSize(decoded, at);
    if (id === 0) firstBlockAt = writer.length;
    if (id < ID_LONG_MAIN_DATA) writer.copy(bytes, at, at + size);
    at += size;
  }
  return firstBlockAt;
}

function itemSize(decoded: WalRecordDecoder, at: number): number {
  const id = decoded.bytes[at] ?? 0;
  if (id === ID_SHORT_MAIN_DATA) return 2;
  if (id === ID_LONG_MAIN_DATA || id === ID_TOP_LEVEL_XID) return 5;
  if (id === ID_ORIGIN) return 3;
  const block = id <= ID_BLOCK_MAX ? decoded.findBlock(id) : undefined;
  const isSameRelation = ((decoded.bytes[at + 1] ?? 0) & SAME_RELATION) !== 0;
  return 4 + (block === undefined ? 0 : imageHeaderSize(block)) + (isSameRelation ? 0 : 12) + 4;
}

/** Length, hole offset and flags; a compressed image with a hole has the hole's length too. */
function imageHeaderSize(block: DecodedWalBlock): number {
  if (!block.hasImage) return 0;
  return block.compression !== WAL_IMAGE_COMPRESSION.none && block.holeLength > 0 ? 7 : 5;
}

function writeMainHeader(length: number): void {
  const isShort = length <= SHORT_MAIN_DATA_MAX;
  writer.byte(isShort ? ID_SHORT_MAIN_DATA : ID_LONG_MAIN_DATA);
  writer.byte(length);
  if (isShort) return;
  for (let shift = 8; shift < 32; shift += 8) writer.byte(length >>> shift);
}

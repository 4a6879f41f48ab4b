import {
  type DecodedWalBlock,
  WAL_IMAGE_COMPRESSION,
  WAL_RECORD_HEADER_SIZE,
  type WalRecordDecoder,
  walRecordCrc,
} from '@neon-snapshot/postgres';

/** xlogrecord.h: ids of the items before a record's payload, and what they are long. */
const ID_BLOCK_MAX = 32;
const ID_TOP_LEVEL_XID = 252;
const ID_ORIGIN = 253;
const ID_LONG_MAIN_DATA = 254;
const ID_SHORT_MAIN_DATA = 255;
const SHORT_MAIN_DATA_MAX = 255;
const SAME_RELATION = 0x80;
const CRC_OFFSET = 20;

/** Parts of a record that are to be others. */
export interface RecordParts {
  /** Data of the block with id 0; default: as it is. At most 65535 bytes, and not empty unless it was. */
  readonly blockData?: Uint8Array | undefined;
  readonly mainData?: Uint8Array | undefined;
}

/** The record with other parts: lengths and CRC made anew, everything else byte for byte. A fresh array. */
export function rewriteRecord(decoded: WalRecordDecoder, parts: RecordParts): Uint8Array {
  const main =
    parts.mainData ?? decoded.bytes.subarray(decoded.mainOffset, decoded.mainOffset + decoded.mainLength);
  const pieces: Uint8Array[] = [decoded.bytes.subarray(0, WAL_RECORD_HEADER_SIZE)];
  pieces.push(...rewriteItems(decoded, parts.blockData), mainHeader(main.length));
  for (let i = 0; i < decoded.blockCount; i += 1) {
    const block = decoded.block(i);
    const { imageOffset, dataOffset, dataLength } = block;
    const isNew = block.id === 0 && parts.blockData !== undefined;
    pieces.push(decoded.bytes.subarray(imageOffset, dataOffset + (isNew ? 0 : dataLength)));
    if (isNew && parts.blockData !== undefined) pieces.push(parts.blockData);
  }
  return seal([...pieces, main]);
}

/** The items before the payload, but for main data's. */
function rewriteItems(decoded: WalRecordDecoder, blockData: Uint8Array | undefined): Uint8Array[] {
  const { bytes } = decoded;
  const end = decoded.blockCount === 0 ? decoded.mainOffset : decoded.block(0).imageOffset;
  const items: Uint8Array[] = [];
  for (let at = WAL_RECORD_HEADER_SIZE; at < end; ) {
    const id = bytes[at] ?? 0;
    const size = itemSize(decoded, at);
    if (id < ID_LONG_MAIN_DATA) {
      // A copy: slice() of a Buffer would not be one.
      const item = Uint8Array.from(bytes.subarray(at, at + size));
      if (id === 0 && blockData !== undefined) viewOf(item).setUint16(2, blockData.length, true);
      items.push(item);
    }
    at += size;
  }
  return items;
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

function mainHeader(length: number): Uint8Array {
  if (length <= SHORT_MAIN_DATA_MAX) return Uint8Array.of(ID_SHORT_MAIN_DATA, length);
  const header = new Uint8Array(5).fill(ID_LONG_MAIN_DATA, 0, 1);
  viewOf(header).setUint32(1, length, true);
  return header;
}

function seal(pieces: readonly Uint8Array[]): Uint8Array {
  const record = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    record.set(piece, at);
    at += piece.length;
  }
  const view = viewOf(record);
  view.setUint32(0, record.length, true);
  view.setUint32(CRC_OFFSET, walRecordCrc(record), true);
  return record;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

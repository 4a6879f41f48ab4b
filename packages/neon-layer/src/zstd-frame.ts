import { NeonLayerError, type NeonLayerErrorCode } from './layer-error.ts';

/*
 * Structure of a zstd frame (RFC 8878), walked before it is decompressed, so that memory is known beforehand and a frame
 * that is cut off, or has bytes behind it, is found without touching the decoder's state:
 *   magic 28 B5 2F FD | descriptor u8 | window u8? | dictionary id 0/1/2/4 | content size 0/1/2/4/8
 *   blocks: u24 LE = last:1 type:2 size:21, then 1 byte (RLE) or size bytes | checksum 4?
 */

/** What the structure of a frame tells. */
export interface ZstdFrame {
  /** The decompressed size is no larger; equal where the frame names its size. */
  readonly contentSizeMax: number;
  readonly contentSizeKnown: boolean;
}

/** A decoder's window is allocated by it: frames of Neon's default level need 512 KiB, those of level 19 8 MiB. */
export const FRAME_WINDOW_BYTES_MAX = 8 * 1024 * 1024;

const MAGIC = 0xfd2fb528;
const BLOCK_BYTES_MAX = 128 * 1024;
const BLOCK_RLE = 1;
const BLOCK_COMPRESSED = 2;
const DICTIONARY_ID_SIZES = [0, 1, 2, 4] as const;
const CONTENT_SIZES = [0, 2, 4, 8] as const;

/** Walks the frame in `bytes[start, end)`, which must be one whole frame. Throws `NEON_LAYER_CORRUPT`, `NEON_LAYER_TOO_LARGE`. */
export function readZstdFrame(bytes: Uint8Array, start: number, end: number): ZstdFrame {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  if (view.byteLength < 6 || view.getUint32(0, true) !== MAGIC) throw frameFault('it has no zstd magic');
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) throw frameFault('a reserved bit is set');
  const dictionarySize = DICTIONARY_ID_SIZES[descriptor & 3] ?? 0;
  if (dictionarySize !== 0) throw frameFault('it needs a dictionary');
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 && singleSegment ? 1 : (CONTENT_SIZES[sizeFlag] ?? 0);
  const sizeOffset = singleSegment ? 5 : 6;
  if (view.byteLength < sizeOffset + sizeBytes) throw frameFault('its header is cut off');
  const contentSize = readContentSize(view, sizeOffset, sizeBytes);
  const windowSize = singleSegment ? (contentSize ?? 0) : windowSizeOf(view.getUint8(5));
  if (windowSize > FRAME_WINDOW_BYTES_MAX) {
    throw frameFault(
      `it needs a window of ${windowSize} bytes, at most ${FRAME_WINDOW_BYTES_MAX} are allowed`,
      'NEON_LAYER_TOO_LARGE',
    );
  }
  const bound = walkBlocks(view, sizeOffset + sizeBytes, (descriptor & 0x04) !== 0 ? 4 : 0);
  if (contentSize === undefined) return { contentSizeMax: bound, contentSizeKnown: false };
  if (contentSize > bound) throw frameFault(`it announces ${contentSize} bytes and holds at most ${bound}`);
  return { contentSizeMax: contentSize, contentSizeKnown: true };
}

/** Largest size that the blocks can have when decompressed; the frame must end where the bytes end. */
function walkBlocks(view: DataView, blocksOffset: number, checksumSize: number): number {
  let offset = blocksOffset;
  let bound = 0;
  for (let last = false; !last; ) {
    if (offset + 3 > view.byteLength) throw frameFault('its blocks are cut off');
    const header = view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3 || size > BLOCK_BYTES_MAX) throw frameFault('a block is of no known kind or too large');
    last = (header & 1) !== 0;
    offset += 3 + (type === BLOCK_RLE ? 1 : size);
    bound += type === BLOCK_COMPRESSED ? BLOCK_BYTES_MAX : size;
  }
  if (offset + checksumSize !== view.byteLength) {
    throw frameFault(`it ends at byte ${offset + checksumSize} of ${view.byteLength}`);
  }
  return bound;
}

function readContentSize(view: DataView, offset: number, size: number): number | undefined {
  switch (size) {
    case 1:
      return view.getUint8(offset);
    case 2:
      return view.getUint16(offset, true) + 256;
    case 4:
      return view.getUint32(offset, true);
    case 8:
      return Number(view.getBigUint64(offset, true));
    default:
      return undefined;
  }
}

function windowSizeOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** The error of a frame that is not what it must be. */
export function frameFault(reason: string, code: NeonLayerErrorCode = 'NEON_LAYER_CORRUPT'): NeonLayerError {
  return new NeonLayerError({
    code,
    operation: 'decode',
    message: `A compressed value is not usable: ${reason}.`,
  });
}

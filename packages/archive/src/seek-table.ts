/**
 * The seek table of zstd's seekable format (`contrib/seekable_format/zstd_seekable_compression_format.md`, version 0.1.0): a skippable
 * frame at the end of the stream, with a compressed and a decompressed size (u32, little-endian) for each frame before it, and a
 * footer: u32 number of frames, u8 descriptor (bit 7: checksums), u32 magic.
 */

export interface SeekTableEntry {
  compressedBytes: number;
  readonly decompressedBytes: number;
}

const SKIPPABLE_MAGIC = 0x184d2a5e;
const SEEKABLE_MAGIC = 0x8f92eab1;
const HEADER_SIZE = 8;
const ENTRY_SIZE = 8;
const ENTRY_SIZE_WITH_CHECKSUM = 12;
const FOOTER_SIZE = 9;
const FRAME_COUNT_MAX = 0x8000000;

export function encodeSeekTable(entries: readonly SeekTableEntry[]): Uint8Array {
  const contentBytes = entries.length * ENTRY_SIZE + FOOTER_SIZE;
  const bytes = new Uint8Array(HEADER_SIZE + contentBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SKIPPABLE_MAGIC, true);
  view.setUint32(4, contentBytes, true);
  let offset = HEADER_SIZE;
  for (const { compressedBytes, decompressedBytes } of entries) {
    view.setUint32(offset, compressedBytes, true);
    view.setUint32(offset + 4, decompressedBytes, true);
    offset += ENTRY_SIZE;
  }
  view.setUint32(offset, entries.length, true);
  view.setUint32(offset + 5, SEEKABLE_MAGIC, true);
  return bytes;
}

/** Bytes at the end of a stream in which {@link seekTableSize} looks. */
export const SEEK_TABLE_FOOTER_SIZE = FOOTER_SIZE;

/** The size of the whole table by the last 9 bytes of a stream; undefined where they are no footer. */
export function seekTableSize(footer: Uint8Array): number | undefined {
  if (footer.length !== FOOTER_SIZE) return undefined;
  const view = new DataView(footer.buffer, footer.byteOffset, FOOTER_SIZE);
  const count = view.getUint32(0, true);
  if (view.getUint32(5, true) !== SEEKABLE_MAGIC || count > FRAME_COUNT_MAX) return undefined;
  return HEADER_SIZE + count * entrySizeOf(view.getUint8(4)) + FOOTER_SIZE;
}

/** The frames of a table of {@link seekTableSize} bytes; undefined where it is none. */
export function decodeSeekTable(bytes: Uint8Array): readonly SeekTableEntry[] | undefined {
  if (seekTableSize(bytes.subarray(-FOOTER_SIZE)) !== bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isFrame =
    view.getUint32(0, true) === SKIPPABLE_MAGIC && view.getUint32(4, true) === bytes.length - HEADER_SIZE;
  if (!isFrame) return undefined;
  const entrySize = entrySizeOf(view.getUint8(bytes.length - 5));
  const entries: SeekTableEntry[] = [];
  for (let offset = HEADER_SIZE; offset < bytes.length - FOOTER_SIZE; offset += entrySize) {
    entries.push({
      compressedBytes: view.getUint32(offset, true),
      decompressedBytes: view.getUint32(offset + 4, true),
    });
  }
  return entries;
}

function entrySizeOf(descriptor: number): number {
  return (descriptor & 0x80) === 0 ? ENTRY_SIZE : ENTRY_SIZE_WITH_CHECKSUM;
}

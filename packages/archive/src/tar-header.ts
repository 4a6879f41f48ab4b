import { Header, type HeaderData } from 'tar/header';
import { ArchiveError } from './archive-error.ts';
import { TAR_BLOCK_SIZE } from './tar-entry.ts';

/** A header block as decoded, with extended headers applied. */
export interface DecodedHeader {
  readonly type: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly modifiedAt: Date;
  readonly linkTarget: string;
}

/** Records of extended headers that are waiting for their member. */
export interface PendingHeaders {
  readonly local?: HeaderData | undefined;
  readonly global?: HeaderData | undefined;
}

/**
 * Decodes a 512-byte header (v7, ustar, GNU). Throws `ARCHIVE_CHECKSUM` or `ARCHIVE_INVALID`.
 * `position` is where it stands in the stream, for messages.
 */
export function decodeTarHeader(
  block: Uint8Array,
  options: { readonly position: number; readonly operation: string; readonly pending: PendingHeaders },
): DecodedHeader {
  const { position, operation, pending } = options;
  const fail = (code: 'ARCHIVE_CHECKSUM' | 'ARCHIVE_INVALID', what: string, cause?: unknown) =>
    new ArchiveError({
      code,
      operation,
      message: `${operation}: ${what} in the header at byte ${position}`,
      context: { position },
      ...(cause === undefined ? {} : { cause }),
    });
  let header: Header;
  try {
    const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    header = new Header(bytes, 0, pending.local, pending.global);
  } catch (error) {
    throw fail('ARCHIVE_INVALID', error instanceof Error ? error.message : 'bad number', error);
  }
  if (!header.cksumValid) throw fail('ARCHIVE_CHECKSUM', 'wrong checksum (not a tar archive, or damaged)');
  if (header.size === undefined || !Number.isSafeInteger(header.size))
    throw fail('ARCHIVE_INVALID', 'size missing or out of range');
  const modifiedAt = header.mtime ?? new Date(0);
  return {
    type: header.type,
    path: header.path ?? '',
    sizeBytes: header.size,
    mode: (header.mode ?? 0) & 0o7777,
    modifiedAt: Number.isNaN(modifiedAt.getTime()) ? new Date(0) : modifiedAt,
    // The decoder reads the block's own field over the extended one.
    linkTarget: pending.local?.linkpath ?? header.linkpath ?? '',
  };
}

export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

export interface EncodableHeader {
  /** The type flag: `0` file, `2` symbolic link, `5` directory, `L` long name, `K` long link target. */
  readonly typeFlag: '0' | '2' | '5' | 'L' | 'K';
  /** At most 100 bytes. */
  readonly name: Uint8Array;
  readonly linkName: Uint8Array;
  readonly mode: number;
  readonly sizeBytes: number;
  /** Unix seconds. */
  readonly modifiedAt: number;
}

/** Field offsets and widths of the GNU header (`tar.h`, `oldgnu_header`). */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  typeFlag: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
} as const;

export const TAR_NAME_SIZE = FIELD.name[1];

/** Writes a GNU header as Rust's `tar` crate does, owner 0:0; octal ended by NUL, or base-256 where it doesn't fit. */
export function encodeGnuHeader(header: EncodableHeader, block: Uint8Array): void {
  block.fill(0, 0, TAR_BLOCK_SIZE);
  const text = new TextEncoder();
  block.set(header.name, FIELD.name[0]);
  block.set(header.linkName, FIELD.linkName[0]);
  putNumber(block, FIELD.mode, header.mode);
  putNumber(block, FIELD.uid, 0);
  putNumber(block, FIELD.gid, 0);
  putNumber(block, FIELD.size, header.sizeBytes);
  putNumber(block, FIELD.mtime, header.modifiedAt);
  putNumber(block, FIELD.deviceMajor, 0);
  putNumber(block, FIELD.deviceMinor, 0);
  block.set(text.encode(header.typeFlag), FIELD.typeFlag[0]);
  block.set(text.encode('ustar  \0'), FIELD.magic[0]);
  block.fill(0x20, FIELD.checksum[0], FIELD.checksum[0] + FIELD.checksum[1]);
  let sum = 0;
  for (let index = 0; index < TAR_BLOCK_SIZE; index += 1) sum += block[index] ?? 0;
  block[FIELD.checksum[0] + FIELD.checksum[1] - 1] = 0;
  putNumber(block, FIELD.checksum, sum);
}

function putNumber(block: Uint8Array, [offset, width]: readonly [number, number], value: number): void {
  const octal = value.toString(8);
  if (octal.length < width) {
    block.set(new TextEncoder().encode(octal.padStart(width - 1, '0')), offset);
    return;
  }
  let rest = BigInt(value);
  for (let index = offset + width - 1; index > offset; index -= 1) {
    block[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[offset] = 0x80;
}

import { NeonLayerError } from './layer-error.ts';
import { BLOB_BYTES_MAX, BLOB_LONG_SIZE_MIN } from './layer-format.ts';

/*
 * A blob is a header and a payload of n bytes (Neon's blob_io.rs):
 *   0xxxxxxx                      1 byte; n = low 7 bits; plain
 *   1000xxxx xx xx xx             4 bytes BE; n = low 28 bits; plain
 *   1001xxxx xx xx xx             4 bytes BE; n = low 28 bits; one zstd frame
 */

export const BLOB_HEADER_SIZE_MAX = 4;

/** What a header says. */
export interface BlobHeader {
  /** 1 or 4. */
  readonly headerSize: number;
  readonly payloadSize: number;
  readonly compressed: boolean;
}

/** Writes a header at `offset`; returns its size. A payload below 128 bytes is never compressed. */
export function writeBlobHeader(
  out: Uint8Array,
  offset: number,
  { payloadSize, compressed }: { readonly payloadSize: number; readonly compressed: boolean },
): number {
  if (payloadSize < BLOB_LONG_SIZE_MIN && !compressed) {
    out[offset] = payloadSize;
    return 1;
  }
  if (payloadSize > BLOB_BYTES_MAX) throw tooLarge(payloadSize);
  out[offset] = (compressed ? 0x90 : 0x80) | (payloadSize >>> 24);
  out[offset + 1] = payloadSize >>> 16;
  out[offset + 2] = payloadSize >>> 8;
  out[offset + 3] = payloadSize;
  return 4;
}

/** A plain blob of a value: header and the bytes. */
export function encodePlainBlob(value: Uint8Array): Uint8Array {
  const header = new Uint8Array(BLOB_HEADER_SIZE_MAX);
  const headerSize = writeBlobHeader(header, 0, { payloadSize: value.length, compressed: false });
  const blob = new Uint8Array(headerSize + value.length);
  blob.set(header.subarray(0, headerSize));
  blob.set(value, headerSize);
  return blob;
}

/**
 * Reads the header at `offset`; `end` is where the blob's bytes end at the latest.
 * Throws `NEON_LAYER_CORRUPT` for an unknown kind and for a length that does not fit.
 */
export function decodeBlobHeader(bytes: Uint8Array, offset: number, end: number): BlobHeader {
  const first = bytes[offset];
  if (first === undefined || offset >= end) throw corruptBlob('a blob begins where the bytes end', offset);
  if (first < 0x80) return checked({ headerSize: 1, payloadSize: first, compressed: false }, offset, end);
  const kind = first >> 4;
  if (kind !== 8 && kind !== 9) {
    throw corruptBlob(`the first byte 0x${first.toString(16)} of a blob is of no known kind`, offset);
  }
  if (end - offset < 4) throw corruptBlob('a blob header is cut off', offset);
  const payloadSize =
    ((first & 0x0f) << 24) |
    ((bytes[offset + 1] ?? 0) << 16) |
    ((bytes[offset + 2] ?? 0) << 8) |
    (bytes[offset + 3] ?? 0);
  return checked({ headerSize: 4, payloadSize, compressed: kind === 9 }, offset, end);
}

function checked(header: BlobHeader, offset: number, end: number): BlobHeader {
  const room = end - offset - header.headerSize;
  if (header.payloadSize > room) {
    throw corruptBlob(`a blob of ${header.payloadSize} bytes has room for ${room}`, offset);
  }
  return header;
}

function corruptBlob(reason: string, offset: number): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_CORRUPT',
    operation: 'decode',
    message: `A layer's values are damaged: ${reason} (byte ${offset} of what was read).`,
    context: { offset },
  });
}

function tooLarge(payloadSize: number): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_TOO_LARGE',
    operation: 'encode',
    message: `A value of ${payloadSize} bytes is too large for a layer; at most ${BLOB_BYTES_MAX}.`,
    context: { payloadSize },
  });
}

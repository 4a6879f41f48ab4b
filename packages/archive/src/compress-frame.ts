import { constants, deflateRawSync, zstdCompressSync } from 'node:zlib';
import type { CompressionKind } from './compression.ts';
import { compressLz4 } from './lz4-frame.ts';

/** One piece of a stream that is compressed on its own. */
export interface FrameJob {
  readonly kind: CompressionKind;
  readonly level: number | undefined;
  readonly bytes: Uint8Array;
  /** The last piece: of gzip it ends the stream. */
  readonly isLast: boolean;
}

/**
 * zstd and lz4: one whole frame, with a checksum. gzip: deflate blocks that end at a byte, of which a single member is made
 * (RFC 1952), because readers of one member only are common. The result has its memory to itself.
 */
export async function compressFrame({ kind, level, bytes, isLast }: FrameJob): Promise<Uint8Array> {
  if (kind === 'zstd') {
    const params = {
      [constants.ZSTD_c_checksumFlag]: 1,
      ...(level === undefined ? {} : { [constants.ZSTD_c_compressionLevel]: level }),
    };
    return owned(zstdCompressSync(bytes, { params, chunkSize: boundOf(bytes.length) }));
  }
  if (kind === 'gzip') {
    const finishFlush = isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
    const chunkSize = boundOf(bytes.length);
    return owned(
      deflateRawSync(bytes, { finishFlush, chunkSize, ...(level === undefined ? {} : { level }) }),
    );
  }
  const parts: Uint8Array[] = [];
  for await (const part of compressLz4(only(bytes))) parts.push(part);
  return owned(Buffer.concat(parts));
}

/** More than any of the three makes of so many bytes, so that there is one output buffer. */
function boundOf(sizeBytes: number): number {
  return sizeBytes + (sizeBytes >> 8) + 1024;
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}

function owned(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
}

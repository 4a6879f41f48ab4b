import { constants, deflateRawSync, zstdCompressSync } from 'node:zlib';
import type { CompressionKind } from './compression.ts';
import { compressLz4 } from './lz4-frame.ts';
import { openZstdCompressContext, type ZstdCompressContext } from './zstd-context.ts';

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
    const frame = inContext(bytes, level);
    if (frame !== undefined) return frame;
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

/** Of this thread; a stream has one level. */
let context:
  | { readonly level: number | undefined; readonly zstd: ZstdCompressContext | undefined }
  | undefined;
let output = new Uint8Array(0);

function inContext(bytes: Uint8Array, level: number | undefined): Uint8Array | undefined {
  if (context === undefined || context.level !== level) {
    context = { level, zstd: openZstdCompressContext(level) };
  }
  if (output.length < boundOf(bytes.length)) output = new Uint8Array(boundOf(bytes.length));
  const size = context.zstd?.run(bytes, output);
  return size === undefined ? undefined : output.slice(0, size);
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

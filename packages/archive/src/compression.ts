import type { Transform } from 'node:stream';
import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { ArchiveError, throwIfAborted } from './archive-error.ts';
import { compressLz4, decompressLz4 } from './lz4-frame.ts';
import { splitZstdFrames } from './zstd-frames.ts';

export type CompressionKind = 'gzip' | 'lz4' | 'zstd';

export interface CompressOptions {
  /** gzip 0 to 9 (default 6), zstd -7 to 22 (default 3); lz4 has none. */
  readonly level?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Output buffers of the streams; Node's 16 KiB would mean one hop to its thread pool for each. */
const CHUNK_SIZE_BYTES = 1024 * 1024;

const EXTENSIONS: Readonly<Record<string, CompressionKind | undefined>> = {
  gz: 'gzip',
  tgz: 'gzip',
  lz4: 'lz4',
  zst: 'zstd',
  zstd: 'zstd',
  tzst: 'zstd',
};

/** How a file of this name is compressed; undefined when its extension is none of `.gz`, `.tgz`, `.lz4`, `.zst`, `.zstd`, `.tzst`. */
export function decompressionOf(name: string): CompressionKind | undefined {
  const extension = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase();
  return extension !== undefined && Object.hasOwn(EXTENSIONS, extension) ? EXTENSIONS[extension] : undefined;
}

/**
 * Decompresses a stream, of several frames or members too. Chunks belong to the receiver; memory is bounded whatever the ratio.
 * Throws `ARCHIVE_TRUNCATED`, `ARCHIVE_INVALID`, `ARCHIVE_CHECKSUM`; errors of the stream itself come through as they are.
 */
export function decompress(
  stream: AsyncIterable<Uint8Array>,
  kind: CompressionKind,
  options: { readonly signal?: AbortSignal | undefined } = {},
): AsyncIterable<Uint8Array> {
  const { signal } = options;
  const operation = `decompress ${kind}`;
  if (kind === 'lz4') return decompressLz4(stream, signal);
  if (kind === 'zstd') {
    const frames = splitZstdFrames(stream, signal);
    return through(frames, createZstdDecompress({ chunkSize: CHUNK_SIZE_BYTES }), { operation, signal });
  }
  return through(notEmpty(stream, operation), createGunzip({ chunkSize: CHUNK_SIZE_BYTES }), {
    operation,
    signal,
  });
}

/** Node's gunzip takes no input at all for a whole, empty file. */
async function* notEmpty(
  stream: AsyncIterable<Uint8Array>,
  operation: string,
): AsyncGenerator<Uint8Array, void, void> {
  let sizeBytes = 0;
  for await (const chunk of stream) {
    sizeBytes += chunk.length;
    yield chunk;
  }
  if (sizeBytes > 0) return;
  const message = `${operation}: the stream is empty`;
  throw new ArchiveError({ code: 'ARCHIVE_TRUNCATED', operation, message });
}

/** Compresses a stream to one frame, with a checksum of the content. Chunks belong to the receiver. */
export function compress(
  stream: AsyncIterable<Uint8Array>,
  kind: CompressionKind,
  options: CompressOptions = {},
): AsyncIterable<Uint8Array> {
  const { signal, level } = options;
  if (kind === 'lz4') return compressLz4(stream, signal);
  return through(stream, compressor(kind, level), { operation: `compress ${kind}`, signal });
}

function compressor(kind: 'gzip' | 'zstd', level: number | undefined): Transform {
  if (kind === 'gzip')
    return createGzip({ chunkSize: CHUNK_SIZE_BYTES, ...(level === undefined ? {} : { level }) });
  return createZstdCompress({
    chunkSize: CHUNK_SIZE_BYTES,
    params: {
      [constants.ZSTD_c_checksumFlag]: 1,
      ...(level === undefined ? {} : { [constants.ZSTD_c_compressionLevel]: level }),
    },
  });
}

async function* through(
  stream: AsyncIterable<Uint8Array>,
  transform: Transform,
  options: { readonly operation: string; readonly signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void, void> {
  const { operation, signal } = options;
  throwIfAborted(signal, operation);
  const interrupt = () => void transform.destroy();
  signal?.addEventListener('abort', interrupt, { once: true });
  // Its failure destroys the transform with the error, so that the iteration below reports it.
  const fed = feed(stream, transform);
  try {
    for await (const chunk of transform as AsyncIterable<Uint8Array>) yield chunk;
    throwIfAborted(signal, operation);
  } catch (error) {
    throwIfAborted(signal, operation);
    throw translate(error, operation);
  } finally {
    signal?.removeEventListener('abort', interrupt);
    transform.destroy();
    await fed;
  }
}

/**
 * Writes chunk by chunk, and ends only when the last one is done: a zstd stream that is ended while it has a chunk in hand
 * ends its frame twice, the second one empty (seen with Node 22 and 24).
 */
async function feed(stream: AsyncIterable<Uint8Array>, transform: Transform): Promise<void> {
  let release: (() => void) | undefined;
  transform.once('close', () => release?.());
  try {
    for await (const chunk of stream) {
      if (transform.destroyed) return;
      await new Promise<void>((done) => {
        release = done;
        transform.write(chunk, () => done());
      });
      if (transform.destroyed) return;
    }
    transform.end();
  } catch (error) {
    transform.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

function translate(error: unknown, operation: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^(Z_|ZSTD_)/.test(code)) return error;
  const isTruncated = code === 'Z_BUF_ERROR';
  return new ArchiveError({
    code: isTruncated
      ? 'ARCHIVE_TRUNCATED'
      : code === 'ZSTD_error_checksum_wrong' || String(error).includes('incorrect data check')
        ? 'ARCHIVE_CHECKSUM'
        : 'ARCHIVE_INVALID',
    operation,
    message: `${operation}: ${error instanceof Error ? error.message : error}`,
    context: { reason: code },
    cause: error,
  });
}

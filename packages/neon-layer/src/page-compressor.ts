import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { encodePlainBlob, writeBlobHeader } from './blob.ts';
import { invalidArgument } from './layer-assembly.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOB_BYTES_MAX, BLOB_LONG_SIZE_MIN, BLOCK_SIZE } from './layer-format.ts';
import { openCompressContext, openPageCompressContext, type ZstdContext } from './zstd-context.ts';

/** Compresses values as Neon does. Belongs to one thread; close it when done. */
export interface PageCompressor {
  /** `reused-context` gives Neon's very frames; `one-shot` gives others that every reader takes, at three times the cost. */
  readonly implementation: 'reused-context' | 'one-shot';
  /** The stored blob of one value: compressed where the value has 128 bytes or more and gets smaller by it, else plain. */
  encodeBlob(value: Uint8Array): Uint8Array;
  /** Encodes pages of 8192 bytes back to back into `out`; returns the bytes written. Allocates no buffer. */
  encodePages(options: EncodePagesOptions): number;
  close(): void;
}

export interface EncodePagesOptions {
  /** `pageCount` pages of 8192 bytes. */
  readonly pages: Uint8Array;
  readonly pageCount: number;
  /** Room from `outOffset` on: `pageCount` × {@link PAGE_BLOB_SIZE_MAX}. */
  readonly out: Uint8Array;
  readonly outOffset?: number;
  /** Receives the bytes of each blob, header included. */
  readonly lengths: Uint32Array;
}

export interface PageCompressorOptions {
  /** zstd level; Neon's default, 1, gives Neon's bytes. */
  readonly level?: number;
  /** Takes the public one-shot calls even where the faster way works. */
  readonly forceOneShot?: boolean;
}

/** Room that the blob of a value needs while it is made: header, and zstd's bound for incompressible data plus one. */
export function blobRoom(valueSize: number): number {
  return 4 + valueSize + (valueSize >>> 8) + 64;
}

/** {@link blobRoom} of a page. */
export const PAGE_BLOB_SIZE_MAX: number = blobRoom(BLOCK_SIZE);

/** Bytes `[offset, offset + length)` of a buffer. */
interface Slice {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

type CompressInto = (value: Slice, out: Slice) => number | undefined;

/** Opens a compressor; a self-test decides between the reused context and the public calls. */
export function createPageCompressor(options: PageCompressorOptions = {}): PageCompressor {
  const level = options.level ?? 1;
  const context = options.forceOneShot === true ? undefined : openCompressContext(level);
  if (context !== undefined && passesSelfTest(context)) {
    const forPages = level === 1 ? pageContextEqualTo(context) : undefined;
    return new BlobEncoder('reused-context', compressorOf(context, forPages), () => {
      context.close();
      forPages?.close();
    });
  }
  context?.close();
  return new BlobEncoder('one-shot', oneShotCompressor(level), () => {});
}

class BlobEncoder implements PageCompressor {
  readonly implementation: PageCompressor['implementation'];
  readonly close: () => void;
  readonly #compress: CompressInto;

  constructor(implementation: PageCompressor['implementation'], compress: CompressInto, close: () => void) {
    this.implementation = implementation;
    this.#compress = compress;
    this.close = close;
  }

  encodeBlob(value: Uint8Array): Uint8Array {
    if (value.length < BLOB_LONG_SIZE_MIN || value.length > BLOB_BYTES_MAX) return encodePlainBlob(value);
    const out = new Uint8Array(blobRoom(value.length));
    const size = this.#encode({ bytes: value, offset: 0, length: value.length }, out, 0);
    return out.slice(0, size);
  }

  encodePages({ pages, pageCount, out, outOffset = 0, lengths }: EncodePagesOptions): number {
    if (pages.length < pageCount * BLOCK_SIZE || lengths.length < pageCount) {
      throw invalidArgument(
        `${pages.length} bytes and ${lengths.length} lengths are too few for ${pageCount} pages.`,
      );
    }
    if (out.length - outOffset < pageCount * PAGE_BLOB_SIZE_MAX) {
      throw invalidArgument(`${out.length - outOffset} bytes are no room for ${pageCount} stored pages.`);
    }
    let end = outOffset;
    for (let i = 0; i < pageCount; i += 1) {
      const size = this.#encode({ bytes: pages, offset: i * BLOCK_SIZE, length: BLOCK_SIZE }, out, end);
      lengths[i] = size;
      end += size;
    }
    return end - outOffset;
  }

  #encode(value: Slice, out: Uint8Array, outOffset: number): number {
    const room = { bytes: out, offset: outOffset + 4, length: blobRoom(value.length) - 4 };
    const size = this.#compress(value, room);
    if (size === undefined) throw compressionFailed(value.length);
    const compressed = size < value.length;
    if (!compressed) {
      out.set(value.bytes.subarray(value.offset, value.offset + value.length), outOffset + 4);
    }
    const payloadSize = compressed ? size : value.length;
    writeBlobHeader(out, outOffset, { payloadSize, compressed });
    return 4 + payloadSize;
  }
}

/** Takes the context for pages where there is one and the value is of their size. */
function compressorOf(context: ZstdContext, forPages: ZstdContext | undefined): CompressInto {
  const [anyValue, page] = [contextCompressor(context), contextCompressor(forPages ?? context)];
  return (value, out) => (value.length === BLOCK_SIZE ? page(value, out) : anyValue(value, out));
}

function contextCompressor(context: ZstdContext): CompressInto {
  return (value, out) =>
    context.run({
      input: value.bytes,
      inputOffset: value.offset,
      inputLength: value.length,
      output: out.bytes,
      outputOffset: out.offset,
      outputLength: out.length,
    });
}

function oneShotCompressor(level: number): CompressInto {
  const options = { params: { [constants.ZSTD_c_compressionLevel]: level } };
  return (value, out) => {
    const frame = zstdCompressSync(value.bytes.subarray(value.offset, value.offset + value.length), options);
    if (frame.length > out.length) return undefined;
    out.bytes.set(frame, out.offset);
    return frame.length;
  };
}

/** Two frames over one context must be equal and decompress to the value, by Node's public call. */
function passesSelfTest(context: ZstdContext): boolean {
  const value = TEST_PAGES.mixed();
  const [first, second] = [frameOf(context, value), frameOf(context, value)];
  if (!first.equals(second)) return false;
  try {
    return zstdDecompressSync(first).equals(value);
  } catch {
    return false;
  }
}

/** The faster context for pages, if it gives the very frames of the other one. */
function pageContextEqualTo(context: ZstdContext): ZstdContext | undefined {
  const forPages = openPageCompressContext();
  if (forPages === undefined) return undefined;
  const isEqual = Object.values(TEST_PAGES).every((make) => {
    const page = make();
    return frameOf(forPages, page).equals(frameOf(context, page));
  });
  if (isEqual) return forPages;
  forPages.close();
  return undefined;
}

/** Pages that become compressed, repeated and stored blocks. */
const TEST_PAGES = {
  mixed: () => new Uint8Array(BLOCK_SIZE).map((_, i) => (i * i) % 251),
  zeros: () => new Uint8Array(BLOCK_SIZE),
  text: () =>
    new Uint8Array(Buffer.alloc(BLOCK_SIZE, 'the same row over and over, and then another 0123456789')),
  noise: () => {
    let state = 1;
    return new Uint8Array(BLOCK_SIZE).map(() => {
      state = Math.imul(state, 1103515245) + 12345;
      return state >>> 16;
    });
  },
} as const;

/** The frame of a page; empty where the context fails. */
function frameOf(context: ZstdContext, page: Uint8Array): Buffer {
  const out = { bytes: new Uint8Array(PAGE_BLOB_SIZE_MAX), offset: 0, length: PAGE_BLOB_SIZE_MAX };
  const size = contextCompressor(context)({ bytes: page, offset: 0, length: page.length }, out);
  return Buffer.from(out.bytes.subarray(0, size ?? 0));
}

function compressionFailed(sizeBytes: number): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_INVALID_ARGUMENT',
    operation: 'encode',
    message: `zstd could not compress a value of ${sizeBytes} bytes.`,
  });
}

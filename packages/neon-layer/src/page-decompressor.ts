import { zstdDecompressSync } from 'node:zlib';
import { decodeBlobHeader } from './blob.ts';
import { invalidArgument } from './layer-assembly.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOB_BYTES_MAX, BLOCK_SIZE } from './layer-format.ts';
import { openDecompressContext, type ZstdContext } from './zstd-context.ts';
import { frameFault, readZstdFrame } from './zstd-frame.ts';

/** Decodes stored blobs. Belongs to one thread; close it when done. */
export interface PageDecompressor {
  readonly implementation: 'reused-context' | 'one-shot';
  /**
   * The value of one stored blob, as a copy. Bytes behind the blob are ignored, as Neon's readers ignore gaps.
   * Throws `NEON_LAYER_CORRUPT`, and `NEON_LAYER_TOO_LARGE` before it allocates more than `sizeMaxBytes`.
   */
  decodeBlob(blob: Uint8Array, options?: { readonly sizeMaxBytes?: number }): Uint8Array;
  /** Decodes blobs that must be pages of exactly 8192 bytes. Allocates no buffer. The error names the index of the page. */
  decodePages(options: DecodePagesOptions): void;
  close(): void;
}

export interface DecodePagesOptions {
  /** Stored blobs (header and payload), back to back. */
  readonly blobs: Uint8Array;
  /** Bytes of each blob. */
  readonly lengths: Uint32Array;
  readonly pageCount: number;
  /** Receives page i at byte i × 8192. */
  readonly out: Uint8Array;
}

export interface PageDecompressorOptions {
  /** Takes the public one-shot calls even where the faster way works. */
  readonly forceOneShot?: boolean;
}

/** A frame in `bytes[start, end)`; its content goes to `out[outOffset, …)`, at most `sizeMax` bytes of it. */
interface FrameCall {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly out: Uint8Array;
  readonly outOffset: number;
  /** `out` has one byte more than this from `outOffset` on. */
  readonly sizeMax: number;
}

/** Opens a decompressor; a self-test decides between the reused context and the public calls. */
export function createPageDecompressor(options: PageDecompressorOptions = {}): PageDecompressor {
  if (options.forceOneShot !== true) {
    const reused = new ReusedDecoder();
    if (passesSelfTest(reused)) return new BlobDecoder('reused-context', reused);
    reused.close();
  }
  return new BlobDecoder('one-shot', ONE_SHOT_DECODER);
}

interface FrameDecoder {
  /** Bytes written; throws `NEON_LAYER_CORRUPT` when the frame does not decode or is larger than `sizeMax`. */
  decode(call: FrameCall): number;
  close(): void;
}

class BlobDecoder implements PageDecompressor {
  readonly implementation: PageDecompressor['implementation'];
  readonly #decoder: FrameDecoder;
  /** One byte larger than a page: output that is full tells nothing about whether more would come. */
  readonly #lastPage = new Uint8Array(BLOCK_SIZE + 1);

  constructor(implementation: PageDecompressor['implementation'], decoder: FrameDecoder) {
    this.implementation = implementation;
    this.#decoder = decoder;
  }

  decodeBlob(blob: Uint8Array, options: { readonly sizeMaxBytes?: number } = {}): Uint8Array {
    const sizeMaxBytes = options.sizeMaxBytes ?? BLOB_BYTES_MAX;
    const { headerSize, payloadSize, compressed } = decodeBlobHeader(blob, 0, blob.length);
    const end = headerSize + payloadSize;
    if (!compressed) {
      if (payloadSize > sizeMaxBytes) throw valueTooLarge(payloadSize, sizeMaxBytes);
      return blob.slice(headerSize, end);
    }
    const frame = readZstdFrame(blob, headerSize, end);
    if (frame.contentSizeKnown && frame.contentSizeMax > sizeMaxBytes) {
      throw valueTooLarge(frame.contentSizeMax, sizeMaxBytes);
    }
    const sizeMax = Math.min(frame.contentSizeMax, sizeMaxBytes);
    const out = new Uint8Array(sizeMax + 1);
    const size = this.#decoder.decode({ bytes: blob, start: headerSize, end, out, outOffset: 0, sizeMax });
    if (frame.contentSizeKnown && size !== frame.contentSizeMax) {
      throw frameFault(`it announces ${frame.contentSizeMax} bytes and holds ${size}`);
    }
    return out.slice(0, size);
  }

  decodePages({ blobs, lengths, pageCount, out }: DecodePagesOptions): void {
    if (lengths.length < pageCount || out.length < pageCount * BLOCK_SIZE) {
      throw invalidArgument(
        `${lengths.length} lengths and ${out.length} bytes are too few for ${pageCount} pages.`,
      );
    }
    let start = 0;
    for (let index = 0; index < pageCount; index += 1) {
      const end = start + (lengths[index] ?? 0);
      try {
        if (end > blobs.length) throw frameFault(`it ends at byte ${end} of ${blobs.length}`);
        this.#decodePage({ blobs, start, end, out, index });
      } catch (cause) {
        throw pageFault(index, cause);
      }
      start = end;
    }
  }

  close(): void {
    this.#decoder.close();
  }

  #decodePage(page: {
    readonly blobs: Uint8Array;
    readonly start: number;
    readonly end: number;
    readonly out: Uint8Array;
    readonly index: number;
  }): void {
    const { blobs, out } = page;
    const { headerSize, payloadSize, compressed } = decodeBlobHeader(blobs, page.start, page.end);
    const start = page.start + headerSize;
    const outOffset = page.index * BLOCK_SIZE;
    if (!compressed) {
      if (payloadSize !== BLOCK_SIZE) throw wrongPageSize(payloadSize);
      out.set(blobs.subarray(start, start + payloadSize), outOffset);
      return;
    }
    readZstdFrame(blobs, start, start + payloadSize);
    const frame = { bytes: blobs, start, end: start + payloadSize, sizeMax: BLOCK_SIZE };
    // The byte behind the page belongs to the next page, which is written next, or is not there at all.
    const isLast = outOffset + BLOCK_SIZE >= out.length;
    const target = isLast ? { out: this.#lastPage, outOffset: 0 } : { out, outOffset };
    const behind = isLast ? 0 : (out[outOffset + BLOCK_SIZE] ?? 0);
    const size = this.#decoder.decode({ ...frame, ...target });
    if (size !== BLOCK_SIZE) throw wrongPageSize(size);
    if (isLast) out.set(this.#lastPage.subarray(0, BLOCK_SIZE), outOffset);
    else out[outOffset + BLOCK_SIZE] = behind;
  }
}

/** Keeps a context across frames, and replaces one that reported an error. */
class ReusedDecoder implements FrameDecoder {
  #context: ZstdContext | undefined = openDecompressContext();

  decode({ bytes, start, end, out, outOffset, sizeMax }: FrameCall): number {
    this.#context ??= openDecompressContext();
    const size = this.#context?.run({
      input: bytes,
      inputOffset: start,
      inputLength: end - start,
      output: out,
      outputOffset: outOffset,
      outputLength: sizeMax + 1,
    });
    if (size !== undefined) return size;
    this.close();
    throw frameFault(`it does not decompress to ${sizeMax} bytes or fewer`);
  }

  close(): void {
    this.#context?.close();
    this.#context = undefined;
  }
}

const ONE_SHOT_DECODER: FrameDecoder = {
  decode({ bytes, start, end, out, outOffset, sizeMax }) {
    const content = decompressOnce(bytes.subarray(start, end), sizeMax);
    out.set(content, outOffset);
    return content.length;
  },
  close() {},
};

function decompressOnce(frame: Uint8Array, sizeMax: number): Uint8Array {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: Math.max(sizeMax, 1) });
  } catch {
    throw frameFault(`it does not decompress to ${sizeMax} bytes or fewer`);
  }
}

/** 8192 bytes of `hello world ` over and over, as Neon's page server compresses such a page. */
const SELF_TEST_FRAME = Buffer.from('28b52ffd0048a500006068656c6c6f20776f726c64200100f1ffbe2401', 'hex');

function passesSelfTest(decoder: FrameDecoder): boolean {
  const expected = Buffer.alloc(BLOCK_SIZE, 'hello world ');
  const out = Buffer.alloc(BLOCK_SIZE + 1);
  const frame = { bytes: SELF_TEST_FRAME, start: 0, end: SELF_TEST_FRAME.length, out, outOffset: 0 };
  try {
    // Good, too large for its room (spends the context), good again.
    const first = decoder.decode({ ...frame, sizeMax: BLOCK_SIZE });
    const isRefused = refuses(() => decoder.decode({ ...frame, sizeMax: 100 }));
    out.fill(0);
    const last = decoder.decode({ ...frame, sizeMax: BLOCK_SIZE });
    const isEqual = expected.equals(out.subarray(0, BLOCK_SIZE));
    return first === BLOCK_SIZE && isRefused && last === BLOCK_SIZE && isEqual;
  } catch {
    return false;
  }
}

function refuses(action: () => unknown): boolean {
  try {
    action();
    return false;
  } catch {
    return true;
  }
}

function wrongPageSize(size: number): NeonLayerError {
  return frameFault(`a page has ${BLOCK_SIZE} bytes, it has ${size}`);
}

function valueTooLarge(size: number, sizeMaxBytes: number): NeonLayerError {
  return frameFault(`its ${size} bytes pass the limit of ${sizeMaxBytes}`, 'NEON_LAYER_TOO_LARGE');
}

function pageFault(index: number, cause: unknown): unknown {
  if (!(cause instanceof NeonLayerError)) return cause;
  return new NeonLayerError({
    code: cause.code,
    operation: 'decode',
    message: `Page ${index} of a run: ${cause.message}`,
    context: { ...cause.context, pageIndex: index },
    cause,
  });
}

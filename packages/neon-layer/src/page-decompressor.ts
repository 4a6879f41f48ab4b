import { zstdDecompressSync } from 'node:zlib';
import { decodeBlobHeader } from './blob.ts';
import { invalidArgument } from './layer-assembly.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOB_BYTES_MAX, BLOCK_SIZE } from './layer-format.ts';
import { openDecompressContext, type ZstdCall, type ZstdContext } from './zstd-context.ts';
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

/** Opens a decompressor; a self-test decides between the reused context and the public calls. */
export function createPageDecompressor(options: PageDecompressorOptions = {}): PageDecompressor {
  if (options.forceOneShot !== true) {
    const reused = new ReusedDecoder();
    if (passesSelfTest(reused)) return new BlobDecoder('reused-context', reused);
    reused.close();
  }
  return new BlobDecoder('one-shot', ONE_SHOT_DECODER);
}

type ReusedCall = { -readonly [Name in keyof ZstdCall]: ZstdCall[Name] };

interface FrameDecoder {
  /**
   * Decompresses one whole frame and returns its size, which is below `outputLength`: output that is full tells nothing
   * about whether more would come. Throws `NEON_LAYER_CORRUPT` when the frame does not decode or is larger.
   */
  decode(call: ZstdCall): number;
  close(): void;
}

class BlobDecoder implements PageDecompressor {
  readonly implementation: PageDecompressor['implementation'];
  readonly #decoder: FrameDecoder;
  /** Takes the last page of a run, behind which the caller's buffer has no byte to spare. */
  readonly #lastPage = new Uint8Array(BLOCK_SIZE + 1);
  /** One object for all calls. */
  readonly #call: ReusedCall = {
    input: this.#lastPage,
    inputOffset: 0,
    inputLength: 0,
    output: this.#lastPage,
    outputOffset: 0,
    outputLength: BLOCK_SIZE + 1,
  };

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
    const output = new Uint8Array(sizeMax + 1);
    const size = this.#decoder.decode({
      input: blob,
      inputOffset: headerSize,
      inputLength: payloadSize,
      output,
      outputOffset: 0,
      outputLength: output.length,
    });
    if (frame.contentSizeKnown && size !== frame.contentSizeMax) {
      throw frameFault(`it announces ${frame.contentSizeMax} bytes and holds ${size}`);
    }
    return output.slice(0, size);
  }

  decodePages({ blobs, lengths, pageCount, out }: DecodePagesOptions): void {
    if (lengths.length < pageCount || out.length < pageCount * BLOCK_SIZE) {
      throw invalidArgument(
        `${lengths.length} lengths and ${out.length} bytes are too few for ${pageCount} pages.`,
      );
    }
    this.#call.input = blobs;
    let start = 0;
    for (let index = 0; index < pageCount; index += 1) {
      const end = start + (lengths[index] ?? 0);
      try {
        if (end > blobs.length) throw frameFault(`it ends at byte ${end} of ${blobs.length}`);
        this.#decodePage(start, end, out, index * BLOCK_SIZE);
      } catch (cause) {
        throw pageFault(index, cause);
      }
      start = end;
    }
    this.#call.input = this.#lastPage;
    this.#call.output = this.#lastPage;
  }

  close(): void {
    this.#decoder.close();
  }

  #decodePage(blobStart: number, blobEnd: number, out: Uint8Array, outOffset: number): void {
    const call = this.#call;
    const { headerSize, payloadSize, compressed } = decodeBlobHeader(call.input, blobStart, blobEnd);
    const start = blobStart + headerSize;
    if (!compressed) {
      if (payloadSize !== BLOCK_SIZE) throw wrongPageSize(payloadSize);
      out.set(call.input.subarray(start, start + payloadSize), outOffset);
      return;
    }
    readZstdFrame(call.input, start, start + payloadSize);
    call.inputOffset = start;
    call.inputLength = payloadSize;
    // The byte behind the page belongs to the next page, which is written next, or is not there at all.
    const isLast = outOffset + BLOCK_SIZE >= out.length;
    const behind = out[outOffset + BLOCK_SIZE] ?? 0;
    call.output = isLast ? this.#lastPage : out;
    call.outputOffset = isLast ? 0 : outOffset;
    const size = this.#decoder.decode(call);
    if (size !== BLOCK_SIZE) throw wrongPageSize(size);
    if (isLast) out.set(this.#lastPage.subarray(0, BLOCK_SIZE), outOffset);
    else out[outOffset + BLOCK_SIZE] = behind;
  }
}

/** Keeps a context across frames, and replaces one that reported an error. */
class ReusedDecoder implements FrameDecoder {
  #context: ZstdContext | undefined = openDecompressContext();

  decode(call: ZstdCall): number {
    this.#context ??= openDecompressContext();
    const size = this.#context?.run(call);
    if (size !== undefined) return size;
    this.close();
    throw doesNotDecode(call);
  }

  close(): void {
    this.#context?.close();
    this.#context = undefined;
  }
}

const ONE_SHOT_DECODER: FrameDecoder = {
  decode(call) {
    const content = decompressOnce(call);
    call.output.set(content, call.outputOffset);
    return content.length;
  },
  close() {},
};

function decompressOnce(call: ZstdCall): Uint8Array {
  const frame = call.input.subarray(call.inputOffset, call.inputOffset + call.inputLength);
  try {
    return zstdDecompressSync(frame, { maxOutputLength: Math.max(call.outputLength - 1, 1) });
  } catch {
    throw doesNotDecode(call);
  }
}

/** 8192 bytes of `hello world ` over and over, as Neon's page server compresses such a page. */
const SELF_TEST_FRAME = Buffer.from('28b52ffd0048a500006068656c6c6f20776f726c64200100f1ffbe2401', 'hex');

function passesSelfTest(decoder: FrameDecoder): boolean {
  const expected = Buffer.alloc(BLOCK_SIZE, 'hello world ');
  const output = Buffer.alloc(BLOCK_SIZE + 1);
  const call = {
    input: SELF_TEST_FRAME,
    inputOffset: 0,
    inputLength: SELF_TEST_FRAME.length,
    output,
    outputOffset: 0,
    outputLength: BLOCK_SIZE + 1,
  };
  try {
    // Good, too large for its room (spends the context), good again.
    const first = decoder.decode(call);
    const isRefused = refuses(() => decoder.decode({ ...call, outputLength: 101 }));
    output.fill(0);
    const last = decoder.decode(call);
    const isEqual = expected.equals(output.subarray(0, BLOCK_SIZE));
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

function doesNotDecode(call: ZstdCall): NeonLayerError {
  return frameFault(`it does not decompress to ${call.outputLength - 1} bytes or fewer`);
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

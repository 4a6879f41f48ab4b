import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  type ZstdCompress,
  type ZstdDecompress,
} from 'node:zlib';

/*
 * zstd contexts that live across values.
 *
 * Node's public calls make a context for each value: 50 µs to compress a page and 22 µs to decompress one, of which 35 µs
 * and 17 µs are the context. Its stream objects hold a context (`_handle`) whose synchronous call can be used for frame
 * after frame: 15 µs and 5 µs, measured on 8 KiB pages of a fresh cluster, Node 24.21. Feeding the value with "continue" and
 * ending the frame in a second call is also what makes the frames byte-equal to Neon's (libzstd's streaming compression).
 *
 * That handle is no public interface. It is used only in the releases named below, on which it was tried, only where it has
 * the expected shape, and after a self-test; everything else takes the public calls. A context that ever reported an error
 * is closed and never used again: Node ignores what it does afterwards.
 */

const TESTED_MAJORS: readonly number[] = [22, 24, 26];

/** The part of a zlib stream's native handle that is used: `ZstdCompressContext` and `ZstdDecompressContext` of node_zlib.cc. */
interface ZlibHandle {
  onerror: (message: string, errno: number, code: string) => void;
  writeSync(
    flush: number,
    input: Uint8Array | null,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
}

/** One call's worth of work for a context. */
export interface ZstdCall {
  readonly input: Uint8Array;
  readonly inputOffset: number;
  readonly inputLength: number;
  readonly output: Uint8Array;
  readonly outputOffset: number;
  /** Bytes that may be written; the result is smaller, or the call failed. */
  readonly outputLength: number;
}

/** A context of one direction. `run` gives the bytes written, or undefined when the call failed and the context is spent. */
export interface ZstdContext {
  run(call: ZstdCall): number | undefined;
  close(): void;
}

const UNTOUCHED = 0xffff_ffff;

/** A compression context, or undefined where this Node's internals are not known. */
export function openCompressContext(level: number): ZstdContext | undefined {
  const open = () => createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } });
  const handle = takeHandle(open);
  if (handle === undefined) return undefined;
  return {
    run(call) {
      const written = handle.write(constants.ZSTD_e_continue, call);
      if (written === undefined) return undefined;
      const rest = handle.write(constants.ZSTD_e_end, {
        ...call,
        inputLength: 0,
        outputOffset: call.outputOffset + written,
        outputLength: call.outputLength - written,
      });
      return rest === undefined ? undefined : written + rest;
    },
    close: () => handle.close(),
  };
}

/** Byte of a frame that says its window (RFC 8878 §3.1.1.1.2), and its value for 8 KiB and for 512 KiB. */
const WINDOW_OFFSET = 5;
const WINDOW_8_KIB = 0x18;
const WINDOW_512_KIB = 0x48;

/**
 * A compression context for values of 8192 bytes only, or undefined as above. It gives the frames of level 1 without a known size,
 * as {@link openCompressContext} does, a sixth faster: the whole value goes into one call, so that zstd does not copy it first. That
 * call knows the size and would choose other settings, so they are given; the window that it then names is put right.
 */
export function openPageCompressContext(): ZstdContext | undefined {
  const params = {
    [constants.ZSTD_c_compressionLevel]: 1,
    [constants.ZSTD_c_contentSizeFlag]: 0,
    [constants.ZSTD_c_minMatch]: 7,
    [constants.ZSTD_c_hashLog]: 14,
  };
  const handle = takeHandle(() => createZstdCompress({ params }));
  if (handle === undefined) return undefined;
  return {
    run(call) {
      const written = handle.write(constants.ZSTD_e_end, call);
      const window = call.outputOffset + WINDOW_OFFSET;
      if (written === undefined || call.output[window] !== WINDOW_8_KIB) return undefined;
      call.output[window] = WINDOW_512_KIB;
      return written;
    },
    close: () => handle.close(),
  };
}

/** A decompression context, or undefined where this Node's internals are not known. The input is one whole frame. */
export function openDecompressContext(): ZstdContext | undefined {
  const handle = takeHandle(createZstdDecompress);
  if (handle === undefined) return undefined;
  return { run: (call) => handle.write(constants.ZSTD_e_end, call), close: () => handle.close() };
}

interface HandleUse {
  write(flush: number, call: ZstdCall): number | undefined;
  close(): void;
}

function takeHandle(open: () => ZstdCompress | ZstdDecompress): HandleUse | undefined {
  if (!TESTED_MAJORS.includes(Number.parseInt(process.versions.node, 10))) return undefined;
  const stream = open();
  const { _handle: handle, _writeState: state } = stream as unknown as Record<string, unknown>;
  if (!isHandle(handle) || !(state instanceof Uint32Array) || state.length !== 2) {
    stream.close();
    return undefined;
  }
  let failed = false;
  handle.onerror = () => {
    failed = true;
  };
  return {
    write(flush, call) {
      const { input, inputOffset, inputLength, output, outputOffset, outputLength } = call;
      // Node aborts the process for ranges outside of their buffers.
      failed ||= inputOffset + inputLength > input.length || outputOffset + outputLength > output.length;
      if (failed || outputLength <= 0) return undefined;
      // The call reports what is left of output and input here, and nothing at all after an error.
      state.fill(UNTOUCHED);
      handle.writeSync(flush, input, inputOffset, inputLength, output, outputOffset, outputLength);
      const outputLeft = state[0] ?? UNTOUCHED;
      // A full output may mean that more is to come, a rest of input that the frame ended before it.
      failed ||= state[1] !== 0 || outputLeft === 0 || outputLeft > outputLength;
      return failed ? undefined : outputLength - outputLeft;
    },
    close: () => stream.close(),
  };
}

function isHandle(value: unknown): value is ZlibHandle {
  return typeof value === 'object' && value !== null && 'writeSync' in value && 'onerror' in value
    ? typeof value.writeSync === 'function'
    : false;
}

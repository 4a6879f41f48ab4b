import { constants, createZstdCompress } from 'node:zlib';

/*
 * A zstd context that makes frame after frame. Node's one-shot call makes a context and an output buffer for each: a tenth of the CPU
 * time of pieces of 1 MiB at level 1, and tens of megabytes of garbage in each thread (measured, Node 24.21). Its stream objects hold a
 * context (`_handle`) whose synchronous call can be used again and again.
 *
 * That handle is no public interface. It is used only in the releases named below, on which it was tried, and only where it has the
 * expected shape; everything else takes the public call. A context that ever failed is not used again.
 */

const TESTED_MAJORS: readonly number[] = [22, 24, 26];

/** The part of a zlib stream's native handle that is used: `ZstdCompressContext` of node_zlib.cc. */
interface ZlibHandle {
  onerror: (message: string, errno: number, code: string) => void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
}

export interface ZstdCompressContext {
  /** Makes one frame of the input; the number of bytes written to the output, or undefined when that failed. */
  run(input: Uint8Array, output: Uint8Array): number | undefined;
}

const UNTOUCHED = 0xffff_ffff;

/** A context for frames with a checksum, or undefined where this Node's internals are not known. */
export function openZstdCompressContext(level: number | undefined): ZstdCompressContext | undefined {
  if (!TESTED_MAJORS.includes(Number.parseInt(process.versions.node, 10))) return undefined;
  const params = {
    [constants.ZSTD_c_checksumFlag]: 1,
    ...(level === undefined ? {} : { [constants.ZSTD_c_compressionLevel]: level }),
  };
  const stream = createZstdCompress({ params });
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
    run(input, output) {
      if (failed) return undefined;
      // The call reports what is left of output and input here, and nothing at all after an error.
      state.fill(UNTOUCHED);
      handle.writeSync(constants.ZSTD_e_end, input, 0, input.length, output, 0, output.length);
      const outputLeft = state[0] ?? UNTOUCHED;
      failed ||= state[1] !== 0 || outputLeft === 0 || outputLeft > output.length;
      return failed ? undefined : output.length - outputLeft;
    },
  };
}

function isHandle(value: unknown): value is ZlibHandle {
  return typeof value === 'object' && value !== null && 'writeSync' in value && 'onerror' in value
    ? typeof value.writeSync === 'function'
    : false;
}

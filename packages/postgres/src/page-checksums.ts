import { BLCKSZ } from './page.ts';
import { PAGE_CHECKSUM_WASM } from './page-checksum-wasm.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

/** Most pages that one {@link PageChecksums} holds: 512 MiB. */
export const PAGE_CHECKSUMS_PAGES_MAX = 65536;

const WASM_PAGE = 65536;
const BLOCK_MAX = 0xffff_fffe;

/**
 * Checksums of pages in a buffer of its own, by WebAssembly SIMD: 0.2 to 1 µs a page, a tenth of plain JavaScript. Read files straight into `buffer`; one instance serves one thread.
 */
export interface PageChecksums {
  /** `pagesMax * 8192` bytes of WebAssembly memory, owned by this object; never moves or grows. */
  readonly buffer: Uint8Array;
  /**
   * Indexes (ascending) of bad pages among `pageCount`: a wrong checksum, or a new page (`pd_upper` 0)
   * that is not all zeros. `firstBlockNumber` is the block number of the first of them in its relation fork, the page at
   * `firstIndex` (default 0), from which the returned indexes count too.
   */
  verify(pageCount: number, firstBlockNumber: number, firstIndex?: number): number[];
  /**
   * Writes the valid `pd_checksum` into each of `pageCount` pages that is not new. `firstBlockNumber` is the block number of the
   * first of them, the page at `firstIndex` (default 0).
   */
  stamp(pageCount: number, firstBlockNumber: number, firstIndex?: number): void;
  /** The checksum that the page at `index` should have as block `blockNumber`. */
  checksumAt(index: number, blockNumber: number): number;
}

export interface PageChecksumsOptions {
  /** 1 to 65536. */
  readonly pagesMax: number;
}

interface ChecksumExports {
  readonly checksum: (page: number, block: number) => number;
  readonly countBad: (page: number, count: number, block: number) => number;
  readonly stamp: (page: number, count: number, block: number) => void;
}

interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** The part used here of the global that every Node has; its types come with the DOM library only. */
declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: WasmMemory } },
  ) => { readonly exports: unknown };
};

let compiled: object | undefined;

/** Makes a {@link PageChecksums}; throws `POSTGRES_OUT_OF_RANGE` for a `pagesMax` outside 1 to 65536. */
export function createPageChecksums(options: PageChecksumsOptions): PageChecksums {
  const { pagesMax } = options;
  assertRange(pagesMax, 1, PAGE_CHECKSUMS_PAGES_MAX);
  const wasmPages = Math.ceil((pagesMax * BLCKSZ) / WASM_PAGE);
  const memory = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages });
  const { checksum, countBad, stamp } = instantiate(memory);
  const assertPages = (count: number, block: number) => {
    assertRange(count, 0, pagesMax);
    assertRange(block, 0, BLOCK_MAX);
  };
  return {
    buffer: new Uint8Array(memory.buffer, 0, pagesMax * BLCKSZ),
    verify(pageCount, firstBlockNumber, firstIndex = 0) {
      assertPages(pageCount, firstBlockNumber);
      assertRange(firstIndex, 0, pagesMax - pageCount);
      if (pageCount === 0 || countBad(firstIndex * BLCKSZ, pageCount, firstBlockNumber) === 0) return [];
      const isBad = (index: number) =>
        countBad((firstIndex + index) * BLCKSZ, 1, firstBlockNumber + index) !== 0;
      return Array.from({ length: pageCount }, (_, index) => index).filter(isBad);
    },
    stamp(pageCount, firstBlockNumber, firstIndex = 0) {
      assertPages(pageCount, firstBlockNumber);
      assertRange(firstIndex, 0, pagesMax - pageCount);
      if (pageCount > 0) stamp(firstIndex * BLCKSZ, pageCount, firstBlockNumber);
    },
    checksumAt(index, blockNumber) {
      assertRange(index, 0, pagesMax - 1);
      assertRange(blockNumber, 0, BLOCK_MAX);
      return checksum(index * BLCKSZ, blockNumber);
    },
  };
}

function instantiate(memory: WasmMemory): ChecksumExports {
  compiled ??= new WebAssembly.Module(Buffer.from(PAGE_CHECKSUM_WASM, 'base64'));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  // The module is ours and its exports are fixed by page-checksum.wat.
  return exports as ChecksumExports;
}

function assertRange(value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new PostgresFormatError({
    code: 'POSTGRES_OUT_OF_RANGE',
    operation: 'compute page checksums',
    message: `Page count, index or block number is ${value}; expected ${min} to ${max}`,
    context: { value, min, max },
  });
}

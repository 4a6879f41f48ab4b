import type { PageFaultPolicy } from '@neon-snapshot/format-core';
import { BLCKSZ, createPageChecksums, type PageChecksums } from '@neon-snapshot/postgres';

/** Pages of one run: 1 MiB, so that runs stay in the caches of a core. */
export const RUN_PAGE_COUNT_MAX = 128;

const CHECKSUM_OFFSET = 8;

/** Verifies runs of pages of one partition; 0.35 s/GB, a third of it the copy into WebAssembly memory. */
export class PageVerifier {
  readonly #policy: PageFaultPolicy;
  readonly #checksums: PageChecksums = createPageChecksums({ pagesMax: RUN_PAGE_COUNT_MAX });

  constructor(policy: PageFaultPolicy) {
    this.#policy = policy;
  }

  /** Reports each bad page of the run. `firstBlockNumber` counts from the start of the fork. */
  verify(run: Uint8Array, place: { readonly path: string; readonly firstBlockNumber: number }): void {
    const { path, firstBlockNumber } = place;
    this.#checksums.buffer.set(run);
    for (const index of this.#checksums.verify(run.length / BLCKSZ, firstBlockNumber)) {
      const blockNumber = firstBlockNumber + index;
      const expected = this.#checksums.checksumAt(index, blockNumber);
      const view = new DataView(run.buffer, run.byteOffset + index * BLCKSZ, BLCKSZ);
      this.#policy.report({ path, blockNumber, expected, found: view.getUint16(CHECKSUM_OFFSET, true) });
    }
  }
}

import {
  BLCKSZ,
  createPageChecksums,
  decodePageHeader,
  findPageHeaderFault,
  type Lsn,
  type PageChecksums,
} from '@neon-snapshot/postgres';
import type { VerifyCollector } from './verification.ts';

/** Pages that are checked at once. */
const RUN_PAGES = 128;

export interface CheckedPages {
  /** Whole pages that follow each other. */
  readonly pages: Uint8Array;
  /** Block number of the first within its relation fork. */
  readonly firstBlock: number;
  /** PGDATA-relative file, for findings. */
  readonly path: string;
  /** The pages carry `pd_checksum`. */
  readonly hasChecksums: boolean;
  /** A page of this LSN or a later one was perhaps being written while it was read: WAL holds it whole, and its checksum says nothing. */
  readonly inFluxFrom?: Lsn | undefined;
}

/** Judges relation pages: `PAGE_HEADER` for one that Postgres would refuse, `PAGE_CHECKSUM` for a wrong `pd_checksum`. */
export class PageCheck {
  readonly #collector: VerifyCollector;
  #checksums: PageChecksums | undefined;

  constructor(collector: VerifyCollector) {
    this.#collector = collector;
    collector.count('pages', 0);
  }

  check({ pages, firstBlock, path, hasChecksums, inFluxFrom }: CheckedPages): void {
    const count = pages.length / BLCKSZ;
    this.#collector.count('pages', count);
    for (let index = 0; index < count; index += 1) {
      const page = pages.subarray(index * BLCKSZ, (index + 1) * BLCKSZ);
      const fault = findPageHeaderFault(page);
      if (fault !== undefined)
        this.#collector.error({
          code: 'PAGE_HEADER',
          path,
          message: `block ${firstBlock + index} of ${path} is no page of Postgres: ${fault}`,
        });
    }
    if (!hasChecksums) return;
    for (let index = 0; index < count; index += RUN_PAGES) {
      const run = pages.subarray(index * BLCKSZ, (index + RUN_PAGES) * BLCKSZ);
      this.#checkSums({ pages: run, firstBlock: firstBlock + index, path, inFluxFrom });
    }
  }

  #checkSums({ pages, firstBlock, path, inFluxFrom }: Omit<CheckedPages, 'hasChecksums'>): void {
    const checksums = (this.#checksums ??= createPageChecksums({ pagesMax: RUN_PAGES }));
    checksums.buffer.set(pages);
    for (const index of checksums.verify(pages.length / BLCKSZ, firstBlock)) {
      const page = pages.subarray(index * BLCKSZ, (index + 1) * BLCKSZ);
      // What has no valid header was named already.
      if (findPageHeaderFault(page) !== undefined) continue;
      const { lsn, checksum } = decodePageHeader(page);
      if (inFluxFrom !== undefined && lsn >= inFluxFrom) {
        this.#collector.count('pagesInFlux');
        continue;
      }
      const expected = checksums.checksumAt(index, firstBlock + index);
      this.#collector.error({
        code: 'PAGE_CHECKSUM',
        path,
        message: `block ${firstBlock + index} of ${path}: its contents ask for checksum ${expected}, it carries ${checksum}`,
      });
    }
  }
}

import { FormatError } from './format-error.ts';

/** A page whose checksum does not match its contents. */
export interface PageFault {
  /** PGDATA-relative path of the segment file. */
  readonly path: string;
  /** Block number within the relation fork, segments included. */
  readonly blockNumber: number;
  /** Checksum that the contents ask for. */
  readonly expected: number;
  /** Checksum that the page carries. */
  readonly found: number;
}

/** Warnings about single pages that are given before the rest is only counted. */
const PAGE_WARNING_COUNT_MAX = 20;

export function corruptPageError(fault: PageFault): FormatError {
  return new FormatError({
    code: 'FORMAT_CORRUPT_PAGE',
    operation: 'verify page',
    message: `${describe(fault)}; restore the page, or take it as it is with --ignore_page_errors`,
    context: { ...fault },
  });
}

/** What happens when a page is corrupt: the first one ends the copy, or all are reported and kept as they are. */
export class PageFaultPolicy {
  faultCount = 0;
  readonly #ignore: boolean;
  readonly #warn: (message: string) => void;

  constructor(options: { readonly ignore: boolean; readonly warn: (message: string) => void }) {
    this.#ignore = options.ignore;
    this.#warn = options.warn;
  }

  /** Throws `FORMAT_CORRUPT_PAGE` unless faults are ignored; warns for at most 20 of them. */
  report(fault: PageFault): void {
    if (!this.#ignore) throw corruptPageError(fault);
    this.faultCount += 1;
    if (this.faultCount <= PAGE_WARNING_COUNT_MAX) this.#warn(`${describe(fault)}; kept as it is`);
  }

  /** Says how many more there were. Call once, after the last page. */
  summarize(): void {
    const unnamed = this.faultCount - PAGE_WARNING_COUNT_MAX;
    if (unnamed > 0) this.#warn(`${unnamed} more corrupt pages were kept as they are`);
  }
}

function describe(fault: PageFault): string {
  const { path, blockNumber, expected, found } = fault;
  return `corrupt page in ${path}, block ${blockNumber}: expected checksum ${expected}, found ${found}`;
}

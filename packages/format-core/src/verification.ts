import type { FormatContext } from './format.ts';

/**
 * How deep a snapshot is looked at. Every level does what `meta` does, and then:
 *
 * - `meta`: what is there is what the snapshot's own directory says: objects, sizes, names. Reads no body of a relation.
 * - `hash`: every stored byte is read and decodes; checksums that the format keeps are compared.
 * - `pages`: every page of the snapshot's end is there and is a page.
 */
export type VerifyLevel = 'meta' | 'hash' | 'pages';

export interface VerifyContext extends FormatContext {
  readonly level: VerifyLevel;
  /**
   * At level `pages`, of a format that holds WAL records: make every page that comes from them by a stock Postgres too
   * (`services.openStockRedo`) and compare.
   */
  readonly comparesRedo?: boolean;
}

/** Something that is wrong, or that a user should know. */
export interface VerifyFinding {
  /** Stable and upper-case: `LAYER_MISSING`. Documented by the format. */
  readonly code: string;
  /** An `error` means that the snapshot, or a part of it, cannot be read as it should. */
  readonly severity: 'error' | 'warning';
  /** One sentence: what, where, expected, found. */
  readonly message: string;
  /** The object or PGDATA-relative file that it is about. */
  readonly path?: string;
}

export interface VerifyReport {
  /** In the order in which they were found; at most {@link VERIFY_FINDINGS_MAX}. */
  readonly findings: readonly VerifyFinding[];
  /** Also those that are not listed. */
  readonly errorCount: number;
  readonly warningCount: number;
  /** What was looked at: `layers`, `pages`, `bytes`, … by the format. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Findings that are listed; more are only counted. */
export const VERIFY_FINDINGS_MAX = 1000;

/** Collects findings and counts in bounded memory. */
export class VerifyCollector {
  readonly #findings: VerifyFinding[] = [];
  readonly #counts: Record<string, number> = {};
  #errorCount = 0;
  #warningCount = 0;

  error(finding: Omit<VerifyFinding, 'severity'>): void {
    this.#errorCount += 1;
    this.#list({ severity: 'error', ...finding });
  }

  warning(finding: Omit<VerifyFinding, 'severity'>): void {
    this.#warningCount += 1;
    this.#list({ severity: 'warning', ...finding });
  }

  /** Adds to a count; a count that is named is in the report, be it 0. */
  count(name: string, more = 1): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + more;
  }

  report(): VerifyReport {
    return {
      findings: [...this.#findings],
      errorCount: this.#errorCount,
      warningCount: this.#warningCount,
      counts: { ...this.#counts },
    };
  }

  #list(finding: VerifyFinding): void {
    if (this.#findings.length < VERIFY_FINDINGS_MAX) this.#findings.push(finding);
  }
}

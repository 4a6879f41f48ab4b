/** Consecutive pages that a size promises: a relation fork, or an SLRU segment. */
export interface ExpectedRun {
  /** Key of its block 0; the last four bytes of a page's key are its block number. */
  readonly firstKey: Uint8Array;
  readonly blocks: number;
}

/** Pages that a run lacks. */
export interface MissingBlocks<Run extends ExpectedRun> {
  readonly run: Run;
  readonly firstBlock: number;
  readonly count: number;
}

const PREFIX_BYTES = 14;

/** Compares pages that come in key order with those that are promised. */
export class ExpectedBlocks<Run extends ExpectedRun> {
  readonly #runs: readonly Run[];
  #index = 0;
  #next = 0;
  #missing: { run: Run; firstBlock: number; count: number }[] = [];

  /** Runs in key order. */
  constructor(runs: readonly Run[]) {
    this.#runs = runs;
  }

  /** The run that a page belongs to, or undefined for a page that no size promises. */
  take(key: Uint8Array, blockNumber: number): Run | undefined {
    for (;;) {
      const run = this.#runs[this.#index];
      if (run === undefined) return undefined;
      const order = Buffer.compare(key.subarray(0, PREFIX_BYTES), run.firstKey.subarray(0, PREFIX_BYTES));
      if (order < 0) return undefined;
      if (order > 0) {
        this.#miss(run, run.blocks);
        this.#index += 1;
        this.#next = 0;
        continue;
      }
      if (blockNumber >= run.blocks) return undefined;
      this.#miss(run, blockNumber);
      this.#next = blockNumber + 1;
      return run;
    }
  }

  /** No page comes any more. */
  finish(): void {
    for (; this.#index < this.#runs.length; this.#index += 1) {
      const run = this.#runs[this.#index];
      if (run !== undefined) this.#miss(run, run.blocks);
      this.#next = 0;
    }
  }

  /** What was found missing since the last call. */
  missing(): readonly MissingBlocks<Run>[] {
    const missing = this.#missing;
    if (missing.length > 0) this.#missing = [];
    return missing;
  }

  #miss(run: Run, end: number): void {
    if (this.#next < end) this.#missing.push({ run, firstBlock: this.#next, count: end - this.#next });
    this.#next = Math.max(this.#next, end);
  }
}

/** Works follow each other in the order in which they were handed over; the failure of one is its own caller's. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when everything handed over so far is done. */
  async drain(): Promise<void> {
    await this.#last;
  }
}

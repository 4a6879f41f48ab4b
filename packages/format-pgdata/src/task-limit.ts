/** Runs tasks side by side, at most so many; remembers the first error. */
export class TaskLimit {
  readonly #countMax: number;
  readonly #running = new Set<Promise<void>>();
  #error: { readonly cause: unknown } | undefined;

  constructor(countMax: number) {
    this.#countMax = Math.max(1, countMax);
  }

  /** Returns when the task has started, which is when a place is free. Rejects with the error of an earlier task. */
  async start(task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#countMax) await Promise.race(this.#running);
    this.#throwError();
    const running = task()
      .catch((cause: unknown) => {
        this.#error ??= { cause };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Returns when every started task has ended; rejects with the first error of any. */
  async drain(): Promise<void> {
    await this.settle();
    this.#throwError();
  }

  /** Like {@link drain}, but never rejects. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running);
  }

  #throwError(): void {
    if (this.#error !== undefined) throw this.#error.cause;
  }
}

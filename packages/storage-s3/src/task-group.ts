/**
 * Tasks side by side, at most so many, that fail together: the first failure aborts the others' signal and is thrown by
 * the next `start` or by `join`. Disposal aborts what still runs and waits for it, so that nothing outlives its owner.
 */
export class TaskGroup implements AsyncDisposable {
  readonly #limit: number;
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(limit: number, signal: AbortSignal | undefined) {
    this.#limit = limit;
    const own = this.#controller.signal;
    this.#signal = signal === undefined ? own : AbortSignal.any([own, signal]);
  }

  /** Waits for a free place, then starts the task; does not wait for its end. */
  async start(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit && this.#failure === undefined)
      await Promise.race(this.#running);
    this.#throwFailure();
    const task: Promise<void> = work(this.#signal)
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#controller.abort();
      })
      .finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  async join(): Promise<void> {
    await Promise.all(this.#running);
    this.#throwFailure();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await Promise.all(this.#running);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

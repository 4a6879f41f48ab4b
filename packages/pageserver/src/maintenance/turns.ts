/** Lets one work at a time, in the order of asking: each needs memory for a whole layer. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for its turn; rejects with the signal's reason, at once, where it fires before that. */
  async take<Result>(work: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    const before = this.#last;
    const own = Promise.withResolvers<void>();
    this.#last = before.then(() => own.promise);
    try {
      await untilAborted(before, signal);
      return await work();
    } finally {
      own.resolve();
    }
  }
}

async function untilAborted(wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return wait;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([wait, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

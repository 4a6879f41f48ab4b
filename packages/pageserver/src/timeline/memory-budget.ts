/** Who shares the budget. */
export interface MemoryUser {
  /** Bytes held now. */
  readonly memoryBytes: number;
}

/** Memory for WAL and values that are not in layers yet, shared by all timelines. Nobody who asks for room is given it while it is used up. */
export class MemoryBudget {
  readonly sizeMaxBytes: number;
  readonly #users = new Set<MemoryUser>();
  #waiting: (() => void)[] = [];

  constructor(sizeMaxBytes: number) {
    this.sizeMaxBytes = sizeMaxBytes;
  }

  get usedBytes(): number {
    let sum = 0;
    for (const user of this.#users) sum += user.memoryBytes;
    return sum;
  }

  get isUsedUp(): boolean {
    return this.usedBytes >= this.sizeMaxBytes;
  }

  add(user: MemoryUser): void {
    this.#users.add(user);
  }

  remove(user: MemoryUser): void {
    this.#users.delete(user);
    this.release();
  }

  /** Memory was given back: those who wait look again. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves once there is room, or rejects with the signal's reason. */
  async whenAvailable(signal: AbortSignal): Promise<void> {
    while (this.isUsedUp) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        this.#waiting.push(() => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        });
      });
    }
    signal.throwIfAborted();
  }
}

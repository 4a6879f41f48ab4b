/** Of the interval, for what comes before a put: the walsender, the receiver, a busy machine. */
const MARGIN_SHARE = 0.1;
/** However slow the storage is, it is not asked more often than this share of the interval. */
const PAUSE_SHARE_MIN = 0.25;
const REMEMBERED_PUTS = 8;

/**
 * How long to wait between two puts of raw WAL so that whatever arrives is in the storage within an interval. WAL that just misses a put waits
 * for that one to end, then for the pause, then for its own put: pause + 2 puts. So the pause shrinks with the slowest of the last puts.
 */
export class PushPace {
  readonly #intervalMs: number;
  #putsMs: readonly number[] = [];

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  onPut(durationMs: number): void {
    this.#putsMs = [...this.#putsMs, durationMs].slice(-REMEMBERED_PUTS);
  }

  get pauseMs(): number {
    const budgetMs = this.#intervalMs * (1 - MARGIN_SHARE) - 2 * Math.max(0, ...this.#putsMs);
    return Math.max(this.#intervalMs * PAUSE_SHARE_MIN, budgetMs);
  }
}

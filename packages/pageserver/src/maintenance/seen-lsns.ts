import type { LsnSeen } from '../gc/gc-cutoff.ts';

/** Marks that one interval has at most. */
const MARKS_PER_INTERVAL = 128;
const MARK_DISTANCE_MIN_MS = 1_000;

/** Remembers when a timeline had reached which LSN, over one interval; bounded. */
export class SeenLsns {
  readonly #intervalMs: number;
  #marks: LsnSeen[] = [];

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Oldest first; the first one may be older than the interval, the others are not. */
  get marks(): readonly LsnSeen[] {
    return this.#marks;
  }

  see(mark: LsnSeen): void {
    const last = this.#marks.at(-1);
    const distanceMs = Math.max(this.#intervalMs / MARKS_PER_INTERVAL, MARK_DISTANCE_MIN_MS);
    if (last !== undefined && mark.at.getTime() - last.at.getTime() < distanceMs) return;
    this.#marks.push(mark);
    const startMs = mark.at.getTime() - this.#intervalMs;
    const newestOld = this.#marks.findLastIndex(({ at }) => at.getTime() <= startMs);
    if (newestOld > 0) this.#marks = this.#marks.slice(newestOld);
  }
}

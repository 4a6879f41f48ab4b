import type { LeaseClock } from '@neon-snapshot/repository';
import type { PageServerEvent } from '../page-server/events.ts';
import type { PushState } from './timeline-types.ts';

/** A failure that goes on is told again so often. */
const REPEAT_MS = 60_000;

/** Keeps count of what the storage fails with, and tells it: at once, and then now and then. */
export class StorageHealth {
  readonly #timelineId: string;
  readonly #clock: LeaseClock;
  readonly #emit: (event: PageServerEvent) => void;
  /** What is being tried in vain → since when. */
  readonly #failing = new Map<string, NonNullable<PushState['failure']>>();
  #toldAt = Number.NEGATIVE_INFINITY;
  #failureCount = 0;

  constructor(timelineId: string, clock: LeaseClock, emit: (event: PageServerEvent) => void) {
    this.#timelineId = timelineId;
    this.#clock = clock;
    this.#emit = emit;
  }

  get failureCount(): number {
    return this.#failureCount;
  }

  /** The one that lasts longest. */
  get failure(): PushState['failure'] {
    return this.#failing.values().next().value;
  }

  onFailure(what: string, error: unknown, attempt: number): void {
    this.#failureCount += 1;
    const message = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    const now = this.#clock.now();
    const since = this.#failing.get(what)?.since ?? now;
    this.#failing.set(what, { message, since, attempts: attempt });
    if (attempt > 1 && now.getTime() < this.#toldAt + REPEAT_MS) return;
    this.#toldAt = now.getTime();
    this.#emit({ kind: 'storage-failing', timelineId: this.#timelineId, what, message, attempt });
  }

  onSuccess(what: string, attempts: number): void {
    if (!this.#failing.delete(what) || this.#failing.size > 0) return;
    this.#emit({ kind: 'storage-recovered', timelineId: this.#timelineId, attempts });
  }
}

import type { LeaseClock } from '@neon-snapshot/repository';
import type { TimelineMaintenance } from '../maintenance/timeline-maintenance.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { PageServerEvent } from './events.ts';
import { closedError } from './page-server-faults.ts';

const INTERVAL_MS = 10_000;
/** After failures: it doubles up to this. */
const INTERVAL_MAX_MS = 300_000;

export interface MaintenanceLoopOptions {
  readonly timelineId: string;
  readonly maintenance: TimelineMaintenance;
  readonly clock: LeaseClock;
  readonly emit: (event: PageServerEvent) => void;
}

/** Compacts a timeline and collects its garbage now and then, for as long as it is there. A failure is told, and it is tried anew. */
export class MaintenanceLoop {
  readonly maintenance: TimelineMaintenance;
  readonly #options: MaintenanceLoopOptions;
  readonly #ended = new AbortController();
  readonly #done: Promise<void>;
  readonly #asked = new Set<Promise<unknown>>();

  constructor(options: MaintenanceLoopOptions) {
    this.maintenance = options.maintenance;
    this.#options = options;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#ended.abort(closedError());
    await this.#done;
    await Promise.allSettled(this.#asked);
  }

  /** Something that was asked for, in between; it ends when the timeline does. */
  async run<Result>(
    work: (maintenance: TimelineMaintenance, options: CallOptions) => Promise<Result>,
    { signal }: CallOptions = {},
  ): Promise<Result> {
    const ended = this.#ended.signal;
    ended.throwIfAborted();
    const both = signal === undefined ? ended : AbortSignal.any([ended, signal]);
    const done = work(this.maintenance, { signal: both });
    this.#asked.add(done);
    try {
      return await done;
    } finally {
      this.#asked.delete(done);
    }
  }

  async #run(): Promise<void> {
    const { clock, maintenance, emit, timelineId } = this.#options;
    const { signal } = this.#ended;
    for (let intervalMs = INTERVAL_MS; ; ) {
      await clock.sleep(intervalMs, signal);
      if (signal.aborted) return;
      try {
        await maintenance.run({ signal });
        intervalMs = INTERVAL_MS;
      } catch (error) {
        if (signal.aborted) return;
        intervalMs = Math.min(intervalMs * 2, INTERVAL_MAX_MS);
        const message = error instanceof Error ? error.message : String(error);
        emit({ kind: 'maintenance-failed', timelineId, message });
      }
    }
  }
}

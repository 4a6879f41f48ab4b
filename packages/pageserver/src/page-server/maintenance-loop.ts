import type { LeaseClock } from '@neon-snapshot/repository';
import type { TimelineMaintenance } from '../maintenance/timeline-maintenance.ts';
import type { PageServerEvent } from './events.ts';

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

  constructor(options: MaintenanceLoopOptions) {
    this.maintenance = options.maintenance;
    this.#options = options;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#done;
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

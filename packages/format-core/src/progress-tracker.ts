import type { ProgressEvent, ProgressListener } from './progress.ts';

/** Sums up what several partitions do into one series of events. */
export class ProgressTracker {
  readonly #listener: ProgressListener | undefined;
  readonly #totals: { readonly bytesTotal?: number; readonly filesTotal?: number };
  #phase: ProgressEvent['phase'] = 'copy';
  #bytesDone = 0;
  #filesDone = 0;

  constructor(options: {
    readonly listener: ProgressListener | undefined;
    readonly bytesTotal: number | undefined;
    readonly filesTotal: number | undefined;
  }) {
    this.#listener = options.listener;
    this.#totals = {
      ...(options.bytesTotal === undefined ? {} : { bytesTotal: options.bytesTotal }),
      ...(options.filesTotal === undefined ? {} : { filesTotal: options.filesTotal }),
    };
  }

  addBytes(count: number): void {
    this.#bytesDone += count;
    this.#emit();
  }

  addFile(): void {
    this.#filesDone += 1;
    this.#emit();
  }

  /** Starts the next phase; the counters stay, so that a bar does not jump back. */
  enter(phase: ProgressEvent['phase']): void {
    this.#phase = phase;
    this.#emit();
  }

  #emit(): void {
    this.#listener?.({
      phase: this.#phase,
      bytesDone: this.#bytesDone,
      filesDone: this.#filesDone,
      ...this.#totals,
    });
  }
}

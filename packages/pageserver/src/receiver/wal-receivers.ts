import type { LeaseClock } from '@neon-snapshot/repository';
import type { PageServerEvent } from '../page-server/events.ts';
import type { WalSource, WalSourceState } from '../page-server/wal-source.ts';
import { SerialQueue } from '../push/serial-queue.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { WalReceiver } from './wal-receiver.ts';
import { WalSourcesFile } from './wal-sources-file.ts';

export interface WalReceiversOptions {
  readonly stateDirectory: string;
  readonly clock: LeaseClock;
  readonly emit: (event: PageServerEvent) => void;
}

/** One receiver for each timeline that has a source. */
export class WalReceivers {
  readonly #options: WalReceiversOptions;
  readonly #file: WalSourcesFile;
  readonly #queue = new SerialQueue();
  readonly #receivers = new Map<string, WalReceiver>();
  #sources = new Map<string, WalSource>();
  #isStopped = false;

  constructor(options: WalReceiversOptions) {
    this.#options = options;
    this.#file = new WalSourcesFile(options.stateDirectory);
  }

  /** Connects to the sources that are remembered; those of timelines that are gone are forgotten. */
  async start(timelines: readonly Timeline[]): Promise<void> {
    this.#sources = new Map(await this.#file.read());
    for (const timeline of timelines) {
      const source = this.#sources.get(timeline.timelineId);
      if (source !== undefined) this.#receive(timeline, source);
    }
  }

  set(timeline: Timeline, source: WalSource): Promise<void> {
    return this.#queue.run(async () => {
      this.#sources.set(timeline.timelineId, source);
      await this.#file.write(this.#sources);
      await this.#stop(timeline.timelineId);
      this.#receive(timeline, source);
    });
  }

  remove(timelineId: string): Promise<void> {
    return this.#queue.run(async () => {
      await this.#stop(timelineId);
      if (!this.#sources.delete(timelineId)) return;
      await this.#file.write(this.#sources);
    });
  }

  state(timelineId: string): WalSourceState | undefined {
    return this.#receivers.get(timelineId)?.state;
  }

  /** The sources stay remembered. */
  async stopAll(): Promise<void> {
    this.#isStopped = true;
    await this.#queue.drain();
    await Promise.all([...this.#receivers.keys()].map((timelineId) => this.#stop(timelineId)));
  }

  #receive(timeline: Timeline, source: WalSource): void {
    if (this.#isStopped) return;
    const { clock, emit } = this.#options;
    this.#receivers.set(timeline.timelineId, new WalReceiver({ timeline, source, clock, emit }));
  }

  async #stop(timelineId: string): Promise<void> {
    const receiver = this.#receivers.get(timelineId);
    this.#receivers.delete(timelineId);
    await receiver?.stop();
  }
}

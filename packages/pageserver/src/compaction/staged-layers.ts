import type { BuiltLayer, StoredLayer } from '@neon-snapshot/neon-layer';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { CompactionTarget } from './target.ts';

/** Layers that were stored and wait for the index that lists them. What is left at the end of a failed run is garbage. */
export class StagedLayers {
  readonly #target: CompactionTarget;
  #waiting: StoredLayer[] = [];
  #publishedCount = 0;
  #publishedBytes = 0;

  constructor(target: CompactionTarget) {
    this.#target = target;
  }

  /** Stored, and listed by no index yet. */
  get waiting(): readonly StoredLayer[] {
    return this.#waiting;
  }

  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  get publishedCount(): number {
    return this.#publishedCount;
  }

  get publishedBytes(): number {
    return this.#publishedBytes;
  }

  async put(layer: BuiltLayer, options: CallOptions): Promise<void> {
    this.#waiting.push(await this.#target.putLayer(layer, options));
  }

  /** Publishes all that wait; gives the layers that are listed no more. */
  async publish(remove: readonly string[], options: CallOptions): Promise<readonly StoredLayer[]> {
    const removed = await this.#target.publish({ add: this.#waiting, remove }, options);
    this.#publishedCount += this.#waiting.length;
    this.#publishedBytes += this.waitingBytes;
    this.#waiting = [];
    return removed;
  }
}

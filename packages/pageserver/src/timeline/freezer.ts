import { type Lsn, lsn } from '@neon-snapshot/postgres';
import type { LayerCache } from '../cache/layer-cache.ts';
import { buildL0Layer } from '../ingest/build-layer.ts';
import type { MemoryLayer } from '../ingest/memory-layer.ts';
import type { WalIntake } from '../ingest/wal-intake.ts';
import { SerialQueue } from '../push/serial-queue.ts';
import type { TimelineLayers } from './timeline-layers.ts';

export interface FreezerOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly intake: WalIntake;
  readonly layers: TimelineLayers;
  readonly cache: LayerCache;
}

/** Memory that no more changes go to, and what becomes of it. */
interface Cut {
  readonly memory: MemoryLayer;
  readonly end: Lsn;
  readonly previousRecord: Lsn | undefined;
}

/** Makes layers of what is in memory, one after the other. Reads see every change at every moment: in memory or in the layer. */
export class Freezer {
  readonly #options: FreezerOptions;
  readonly #queue = new SerialQueue();
  /** Not layers yet, the oldest first; one that failed is tried again first. */
  #cuts: readonly Cut[] = [];

  constructor(options: FreezerOptions) {
    this.#options = options;
  }

  /** What lies above the layers, the newest first. */
  get memory(): readonly MemoryLayer[] {
    const { open } = this.#options.intake;
    return this.#cuts.length === 0 ? [open] : [open, ...this.#cuts.map(({ memory }) => memory).reverse()];
  }

  /** Everything up to the last complete record becomes a layer. */
  freeze(): Promise<void> {
    return this.#queue.run(async () => {
      await this.#options.intake.atBoundary(() => this.#cut());
      for (let cut = this.#cuts[0]; cut !== undefined; cut = this.#cuts[0]) await this.#build(cut);
    });
  }

  #cut(): void {
    const { intake, layers } = this.#options;
    const { lastRecordLsn: end, previousRecordLsn: previousRecord } = intake;
    if (end <= (this.#cuts.at(-1)?.end ?? layers.end)) return;
    this.#cuts = [...this.#cuts, { memory: intake.replaceOpen(), end, previousRecord }];
  }

  async #build({ memory, end, previousRecord }: Cut): Promise<void> {
    const { layers, cache, tenantId, timelineId } = this.#options;
    const built = await buildL0Layer(memory, { tenantId, timelineId, lsnEnd: lsn(end + 1n) });
    const layer = built && layers.describe(built.name, built.sizeBytes);
    if (built !== undefined && layer !== undefined) await cache.add(layer.objectKey, built.chunks);
    // At one moment: from now on the layer is read in the place of the memory.
    layers.addFrozen({ layer, end, previousRecord });
    this.#cuts = this.#cuts.slice(1);
  }
}

import type { Storage } from '@neon-snapshot/storage-core';
import type { StoredLayer } from './stored-layers.ts';

export interface FinishedLayer {
  /** Layer name without generation. */
  readonly name: string;
  /** The whole file; it must not change until {@link release} is called. */
  readonly bytes: Uint8Array;
  /** Called when the bytes are no longer needed, however the put ended. */
  readonly release?: () => void;
}

/** A layer as an index names it. */
export interface PublishedLayer {
  readonly sizeBytes: number;
  /** In the name of its object. */
  readonly generation: number | undefined;
}

export interface LayerPublisherOptions {
  readonly storage: Storage;
  /** Of the layers that are put. */
  readonly generation: number;
  /** Object key of a layer that is put. */
  readonly keyOf: (layerName: string) => string;
  /** Layers of the same import that are there already: those with the same name and bytes are not put again. */
  readonly earlierLayers: readonly StoredLayer[];
  /** Layers on their way side by side, at most. */
  readonly putCountMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** Puts finished layers, a bounded number at a time, and remembers what it put. */
export class LayerPublisher {
  /** All layers by name. */
  readonly layers = new Map<string, PublishedLayer>();
  readonly #put = new Set<string>();
  readonly #earlier: ReadonlyMap<string, StoredLayer>;
  readonly #options: LayerPublisherOptions;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: LayerPublisherOptions) {
    this.#options = options;
    this.#earlier = new Map(options.earlierLayers.map((layer) => [identityOf(layer), layer]));
  }

  /** Sum of the sizes of all layers. */
  get bytes(): number {
    return [...this.layers.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** How many layers were there already. */
  get reusedCount(): number {
    return this.layers.size - this.#put.size;
  }

  /** Is it one of the timeline's layers? */
  refersTo({ name, generation, sizeBytes }: StoredLayer): boolean {
    const layer = this.layers.get(name);
    return layer?.generation === generation && layer?.sizeBytes === sizeBytes;
  }

  /** Starts the put; waits only while too many are on their way. Rejects with the failure of an earlier one. */
  async publish(layer: FinishedLayer): Promise<void> {
    while (this.#running.size >= this.#options.putCountMax) await Promise.race(this.#running);
    this.#throwFailure();
    const earlier = this.#earlier.get(identityOf({ name: layer.name, sizeBytes: layer.bytes.length }));
    const put: Promise<void> = this.#storeOrReuse(layer, earlier).finally(() => this.#running.delete(put));
    this.#running.add(put);
  }

  /** Waits for all puts; rejects with the first failure. */
  async drain(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  /** Waits for all puts, however they end. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running);
  }

  /** Keys of all layers that were put, also of those whose put failed. */
  keys(): string[] {
    return [...this.#put].map((name) => this.#options.keyOf(name));
  }

  async #storeOrReuse(layer: FinishedLayer, earlier: StoredLayer | undefined): Promise<void> {
    const { name, bytes, release } = layer;
    const { storage, keyOf, generation, signal } = this.#options;
    try {
      // Name and size do not tell other bytes of the same source apart, such as those of a page that was repaired since.
      if (earlier !== undefined && (await this.#holds(earlier, bytes))) {
        this.layers.set(name, earlier);
        return;
      }
      this.layers.set(name, { sizeBytes: bytes.length, generation });
      this.#put.add(name);
      await storage.put(keyOf(name), bytes, { sizeBytes: bytes.length, signal });
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      release?.();
    }
  }

  /** Is what is stored byte for byte what was built? */
  async #holds({ key }: StoredLayer, bytes: Uint8Array): Promise<boolean> {
    const { storage, signal } = this.#options;
    const { body } = await storage.get(key, { signal });
    let offset = 0;
    for await (const chunk of body) {
      if (Buffer.compare(chunk, bytes.subarray(offset, offset + chunk.length)) !== 0) return false;
      offset += chunk.length;
    }
    return offset === bytes.length;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function identityOf({ name, sizeBytes }: Pick<StoredLayer, 'name' | 'sizeBytes'>): string {
  return `${name} ${sizeBytes}`;
}

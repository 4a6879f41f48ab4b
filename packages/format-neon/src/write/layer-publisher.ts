import type { Storage } from '@neon-snapshot/storage-core';

export interface FinishedLayer {
  /** Layer name without generation. */
  readonly name: string;
  /** The whole file; it must not change until {@link release} is called. */
  readonly bytes: Uint8Array;
  /** Called when the bytes are no longer needed, however the put ended. */
  readonly release?: () => void;
}

export interface LayerPublisherOptions {
  readonly storage: Storage;
  /** Object key of a layer. */
  readonly keyOf: (layerName: string) => string;
  /** Layers on their way side by side, at most. */
  readonly putCountMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** Puts finished layers, a bounded number at a time, and remembers what it put. */
export class LayerPublisher {
  /** Size of each layer by name. */
  readonly layers = new Map<string, number>();
  readonly #options: LayerPublisherOptions;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: LayerPublisherOptions) {
    this.#options = options;
  }

  /** Sum of the sizes of all layers. */
  get bytes(): number {
    return [...this.layers.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0);
  }

  /** Starts the put; waits only while too many are on their way. Rejects with the failure of an earlier one. */
  async publish(layer: FinishedLayer): Promise<void> {
    while (this.#running.size >= this.#options.putCountMax) await Promise.race(this.#running);
    this.#throwFailure();
    this.layers.set(layer.name, layer.bytes.length);
    const put: Promise<void> = this.#put(layer).finally(() => this.#running.delete(put));
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

  /** Keys of all layers, also of those whose put failed. */
  keys(): string[] {
    return [...this.layers.keys()].map((name) => this.#options.keyOf(name));
  }

  async #put({ name, bytes, release }: FinishedLayer): Promise<void> {
    const { storage, keyOf, signal } = this.#options;
    try {
      await storage.put(keyOf(name), bytes, { sizeBytes: bytes.length, signal });
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      release?.();
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

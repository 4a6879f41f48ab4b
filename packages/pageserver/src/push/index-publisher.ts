import type { StoredLayer } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { LayerCache } from '../cache/layer-cache.ts';
import type { TimelineLayers } from '../timeline/timeline-layers.ts';
import type { LayerChange } from '../timeline/timeline-types.ts';
import type { IndexObject } from './index-object.ts';
import { SerialQueue } from './serial-queue.ts';
import type { WriteGuard } from './write-guard.ts';

export interface IndexPublisherOptions {
  readonly storage: Storage;
  readonly cache: LayerCache;
  readonly layers: TimelineLayers;
  readonly indexObject: IndexObject;
  readonly guard: WriteGuard;
  /** Repeats until it succeeds; see `persist`. */
  readonly persist: <Result>(what: string, work: () => Promise<Result>) => Promise<Result>;
  readonly signal: AbortSignal;
  readonly onLayer: (sizeBytes: number) => void;
}

export interface Published {
  readonly removed: readonly StoredLayer[];
  readonly diskConsistentLsn: Lsn;
  readonly previousRecord: Lsn | undefined;
  readonly layerCount: number;
  readonly layerBytes: number;
}

/**
 * Publishes layers, one index after the other: layers first, then — with the lease just renewed — the index that lists them, then a look
 * whether the lease was still held. Only after that may anything be deleted.
 */
export class IndexPublisher {
  readonly #options: IndexPublisherOptions;
  readonly #queue = new SerialQueue();
  readonly #stored = new Set<string>();

  constructor(options: IndexPublisherOptions) {
    this.#options = options;
  }

  /** With everything that is frozen when its turn comes. */
  publish(change: LayerChange): Promise<Published> {
    return this.#queue.run(() => this.#publish(change));
  }

  /** Puts a layer that is in the cache. */
  async putLayer(layer: StoredLayer): Promise<void> {
    const { storage, cache, persist, signal, onLayer } = this.#options;
    const { objectKey, sizeBytes } = layer;
    await persist('put a layer', () =>
      storage.put(objectKey, cache.chunksOf(objectKey), { sizeBytes, signal }),
    );
    cache.unpin(objectKey);
    onLayer(sizeBytes);
  }

  /** Once, also where the publication that follows fails. */
  async #putFrozen(layer: StoredLayer): Promise<void> {
    if (this.#stored.has(layer.objectKey)) return;
    await this.putLayer(layer);
    this.#stored.add(layer.objectKey);
  }

  async #publish(change: LayerChange): Promise<Published> {
    const { layers, indexObject, guard, persist, signal } = this.#options;
    // What is frozen while these are put is the next one's.
    const { frozen } = layers;
    for (const { layer } of frozen) if (layer !== undefined) await this.#putFrozen(layer);
    const planned = layers.plan(change, frozen);
    const before = new Set(layers.published.layers.layers);
    await persist('put the index', async () => {
      await guard.assertHeld(signal);
      await indexObject.put(planned.index, signal);
    });
    await persist('verify the lease', () => guard.verify(signal));
    layers.publish(planned);
    this.#stored.clear();
    const added = planned.layers.filter((layer) => !before.has(layer));
    const { metadata } = planned.index;
    return {
      removed: planned.removed,
      diskConsistentLsn: metadata.diskConsistentLsn,
      previousRecord: metadata.prevRecordLsn,
      layerCount: added.length,
      layerBytes: added.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    };
  }
}

/** A timeline for compaction and garbage collection without a page server: publishes to a storage at once. */
import {
  type BuiltLayer,
  encodeIndexPart,
  indexObjectKey,
  type LayerMetadata,
  layerObjectKey,
  loadTimeline,
  type RedoFunction,
  type StoredLayer,
  type TimelineSource,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import type { Storage } from '@neon-snapshot/storage-core';
import type { CompactionTarget } from '../compaction/target.ts';
import type { CallOptions, LayerChange } from '../timeline/timeline-types.ts';

export interface MemoryTargetOptions {
  readonly storage: Storage;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly generation: number;
  readonly redo?: RedoFunction;
}

export class MemoryTarget implements CompactionTarget {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly storage: Storage;
  readonly redo: RedoFunction;
  readonly generation: number;
  /** Layers between `putLayer` and `publish` are in no index. */
  readonly put: StoredLayer[] = [];
  #source: TimelineSource;

  static async open(options: MemoryTargetOptions): Promise<MemoryTarget> {
    const { storage, tenantId: tenant, timelineId } = options;
    return new MemoryTarget(options, await loadTimeline(storage, { tenant, timelineId }));
  }

  private constructor(options: MemoryTargetOptions, source: TimelineSource) {
    this.tenantId = options.tenantId;
    this.timelineId = options.timelineId;
    this.storage = options.storage;
    this.generation = options.generation;
    this.redo = options.redo ?? createValueRedo(source.index.metadata.postgresMajor);
    this.#source = source;
  }

  get source(): TimelineSource {
    return this.#source;
  }

  async putLayer(layer: BuiltLayer, { signal }: CallOptions = {}): Promise<StoredLayer> {
    const { tenantId, timelineId, generation } = this;
    const objectKey = layerObjectKey({
      tenantId,
      timelineId,
      layerName: layer.name,
      shard: undefined,
      generation,
    });
    await this.storage.put(objectKey, Uint8Array.from(Buffer.concat(layer.chunks)), { signal });
    const stored = { desc: layer.desc, name: layer.name, objectKey, sizeBytes: layer.sizeBytes };
    this.put.push(stored);
    return stored;
  }

  async publish(
    { add = [], remove = [], gcCutoff }: LayerChange,
    { signal }: CallOptions = {},
  ): Promise<readonly StoredLayer[]> {
    const { index, layers } = this.#source;
    const listed = new Map<string, LayerMetadata>(index.layers);
    for (const { name, sizeBytes } of add) {
      if (listed.has(name)) throw new Error(`${name} is listed already`);
      listed.set(name, { fileSize: sizeBytes, generation: this.generation });
    }
    const removed = layers.layers.filter(({ name }) => remove.includes(name));
    if (removed.length !== remove.length) throw new Error('a layer to remove is not listed');
    for (const name of remove) listed.delete(name);
    const cutoff = gcCutoff ?? index.metadata.latestGcCutoffLsn;
    const metadata = { ...index.metadata, latestGcCutoffLsn: cutoff };
    const { tenantId, timelineId, generation } = this;
    const key = indexObjectKey({ tenant: { tenantId, shard: UNSHARDED }, timelineId, generation });
    await this.storage.put(key, encodeIndexPart({ ...index, layers: listed, metadata }), { signal });
    await this.reload();
    return removed;
  }

  /** Takes what the storage has now. */
  async reload(): Promise<void> {
    const { storage, tenantId: tenant, timelineId } = this;
    this.#source = await loadTimeline(storage, { tenant, timelineId });
  }
}

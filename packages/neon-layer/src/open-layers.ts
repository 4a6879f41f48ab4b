import type { Storage } from '@neon-snapshot/storage-core';
import type { BlockCache } from './block-cache.ts';
import { LayerFile } from './layer-file.ts';
import type { StoredLayer } from './timeline-source.ts';

/** Layers that are kept open; each holds up to 512 KiB (a small file, a group of index blocks). */
const OPEN_LAYERS_MAX = 64;

export interface OpenLayersOptions {
  readonly storage: Storage;
  readonly tenantId: string;
  readonly cache: BlockCache;
}

/** Opens layers once and keeps the latest used ones. */
export class OpenLayers {
  readonly #options: OpenLayersOptions;
  readonly #files = new Map<string, Promise<LayerFile>>();

  constructor(options: OpenLayersOptions) {
    this.#options = options;
  }

  /** An opening that several wait for is never aborted by one of them, so it takes no signal. */
  async open(layer: StoredLayer): Promise<LayerFile> {
    const { objectKey } = layer;
    const { storage, tenantId, cache } = this.#options;
    const file =
      this.#files.get(objectKey) ??
      LayerFile.open(storage, objectKey, { desc: layer.desc, sizeBytes: layer.sizeBytes, tenantId, cache });
    this.#files.delete(objectKey);
    this.#files.set(objectKey, file);
    this.#trim();
    try {
      return await file;
    } catch (error) {
      // A failed opening is tried anew by the next reader.
      if (this.#files.get(objectKey) === file) this.#files.delete(objectKey);
      throw error;
    }
  }

  /** Opens a layer that will be needed soon and reads its index's root. A failure shows when the layer is needed. */
  async warm(layer: StoredLayer): Promise<void> {
    try {
      await (await this.open(layer)).readRoot();
    } catch {
      // Reported by the read that needs the layer.
    }
  }

  #trim(): void {
    for (const objectKey of this.#files.keys()) {
      if (this.#files.size <= OPEN_LAYERS_MAX) return;
      this.#files.delete(objectKey);
    }
  }
}

import { encodePlainBlob, ImageLayerBuilder } from '@neon-snapshot/neon-layer';
import { BLCKSZ, type Lsn } from '@neon-snapshot/postgres';
import { blockKeyOf, elementEnd, elementStart, type StreamedFile, sizeValueOf } from './key-plan.ts';
import { completeInPlace, type LayerBuffers } from './layer-buffers.ts';
import type { LayerPublisher } from './layer-publisher.ts';

/** Index bytes of one value, at most: key and offset. */
const INDEX_ENTRY_BYTES_MAX = 24;
/** Head, padding and the partly filled nodes of the index. */
const LAYER_OVERHEAD_BYTES = 6 * BLCKSZ;

export interface LayerSinkOptions {
  readonly publisher: LayerPublisher;
  readonly buffers: LayerBuffers;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
}

/** Stored blobs of consecutive blocks of one file. */
export interface PageBlobs {
  readonly file: StreamedFile;
  readonly firstBlockInFile: number;
  /** Back to back, headers included. Copied. */
  readonly blobs: Uint8Array;
  /** Stored length of each. */
  readonly lengths: Uint32Array;
}

interface OpenLayer {
  readonly builder: ImageLayerBuilder;
  readonly buffer: Uint8Array;
}

/**
 * Stitches the values of one partition into image layers. Files come in key order; where the next file is not the next
 * element of the key plan, the open layer ends at that element's start. A layer is cut before its file would outgrow its buffer.
 */
export class LayerSink {
  readonly #options: LayerSinkOptions;
  #layer: OpenLayer | undefined;
  #file: StreamedFile | undefined;

  constructor(options: LayerSinkOptions) {
    this.#options = options;
  }

  async appendPages({ file, firstBlockInFile, blobs, lengths }: PageBlobs): Promise<void> {
    const firstKey = blockKeyOf(file.pages, firstBlockInFile);
    const layer = await this.#layerFor(file, {
      key: firstKey,
      storedBytes: blobs.length,
      count: lengths.length,
    });
    layer.builder.appendRun({
      keyPrefix: firstKey,
      blockNumbers: new DataView(firstKey.buffer, firstKey.byteOffset).getUint32(firstKey.length - 4),
      blobs: copyInto(layer, blobs),
      lengths,
    });
  }

  /** Ends a file: its size follows, where it is the last segment. */
  async endFile(file: StreamedFile): Promise<void> {
    const size = sizeValueOf(file);
    if (size === undefined) return;
    const { key, value } = size;
    const blob = encodePlainBlob(value);
    const layer = await this.#layerFor(file, { key, storedBytes: blob.length, count: 1 });
    layer.builder.appendBlob(key, copyInto(layer, blob));
  }

  /** Publishes the open layer. */
  async finish(): Promise<void> {
    if (this.#file !== undefined) await this.#cut(elementEnd(this.#file));
    this.#file = undefined;
  }

  async #layerFor(
    file: StreamedFile,
    next: { readonly key: Uint8Array; readonly storedBytes: number; readonly count: number },
  ): Promise<OpenLayer> {
    const previous = this.#file;
    this.#file = file;
    if (previous !== undefined && previous !== file && previous.next !== file) {
      await this.#cut(elementEnd(previous));
    }
    const layer = this.#layer;
    if (layer === undefined) return this.#open(elementStart(file));
    if (this.#fits(layer, next)) return layer;
    await this.#cut(next.key);
    return this.#open(next.key);
  }

  #fits(
    { builder, buffer }: OpenLayer,
    next: { readonly storedBytes: number; readonly count: number },
  ): boolean {
    const indexBytes = (builder.entryCount + next.count) * INDEX_ENTRY_BYTES_MAX;
    return LAYER_OVERHEAD_BYTES + builder.storedBytes + next.storedBytes + indexBytes <= buffer.length;
  }

  #open(keyStart: Uint8Array): OpenLayer {
    const { tenantId, timelineId, lsn, buffers } = this.#options;
    const builder = new ImageLayerBuilder({ tenantId, timelineId, lsn, keyStart });
    this.#layer = { builder, buffer: buffers.take() };
    return this.#layer;
  }

  async #cut(keyEnd: Uint8Array): Promise<void> {
    const layer = this.#layer;
    this.#layer = undefined;
    if (layer === undefined) return;
    const { publisher, buffers } = this.#options;
    const built = layer.builder.finish(keyEnd);
    await publisher.publish({
      name: built.name,
      bytes: completeInPlace(layer.buffer, built),
      release: () => buffers.giveBack(layer.buffer),
    });
  }
}

/** Copies blobs to where they will lie in the layer's file: after its first block and all earlier blobs. */
function copyInto({ builder, buffer }: OpenLayer, blobs: Uint8Array): Uint8Array {
  const start = BLCKSZ + builder.storedBytes;
  buffer.set(blobs, start);
  return buffer.subarray(start, start + blobs.length);
}

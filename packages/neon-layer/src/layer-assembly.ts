import { BLOB_HEADER_SIZE_MAX, writeBlobHeader } from './blob.ts';
import { DiskBtreeBuilder } from './disk-btree-builder.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOCK_SIZE, LAYER_BYTES_MAX } from './layer-format.ts';
import { formatLayerName, type LayerDesc } from './layer-name.ts';
import { encodeLayerSummary } from './layer-summary.ts';

/** Small values are copied into buffers of this size: one object for each would take more memory than they do. */
const SLAB_BYTES = 256 * 1024;

/** A layer file that is ready to be stored. */
export interface BuiltLayer {
  readonly desc: LayerDesc;
  /** As in an index: no generation. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly entryCount: number;
  /** The file in pieces: first block, the blobs as they were handed in, padding and index. */
  readonly chunks: readonly Uint8Array[];
}

export interface LayerIdentity {
  readonly tenantId: string;
  readonly timelineId: string;
}

/**
 * What image and delta layer builders share: blobs by reference, the index, and the first block, which is known last.
 * An appended buffer belongs to the layer until its chunks are stored.
 */
export class LayerAssembly {
  readonly #identity: LayerIdentity;
  readonly #btree: DiskBtreeBuilder;
  readonly #blobs: Uint8Array[] = [];
  #offset = BLOCK_SIZE;
  #slab = new Uint8Array(0);
  /** The part of the slab that is not among the blobs yet. */
  #slabStart = 0;
  #slabEnd = 0;

  constructor(identity: LayerIdentity, keySize: number) {
    this.#identity = identity;
    this.#btree = new DiskBtreeBuilder(keySize);
  }

  /** Where the next blob begins. */
  get offset(): number {
    return this.#offset;
  }

  get entryCount(): number {
    return this.#btree.entryCount;
  }

  /** Indexes an entry; the bytes follow by {@link addBytes}. */
  index(key: Uint8Array, value: number): void {
    this.#btree.append(key, value);
  }

  /** Adds stored blobs by reference. */
  addBytes(blobs: Uint8Array): void {
    this.#checkRoom(blobs.length);
    this.#flushSlab();
    this.#blobs.push(blobs);
    this.#offset += blobs.length;
  }

  /** Adds a copy of one stored blob. */
  addCopy(blob: Uint8Array): void {
    this.#reserve(blob.length);
    this.#slab.set(blob, this.#slabEnd);
    this.#take(blob.length);
  }

  /** Adds a value as a plain blob, by copy. */
  addValue(value: Uint8Array): void {
    this.#reserve(BLOB_HEADER_SIZE_MAX + value.length);
    const header = { payloadSize: value.length, compressed: false };
    const headerSize = writeBlobHeader(this.#slab, this.#slabEnd, header);
    this.#slab.set(value, this.#slabEnd + headerSize);
    this.#take(headerSize + value.length);
  }

  finish(desc: LayerDesc): BuiltLayer {
    this.#flushSlab();
    const { blocks, rootBlock } = this.#btree.finish();
    const indexStartBlock = Math.ceil(this.#offset / BLOCK_SIZE);
    const head = encodeLayerSummary({ desc, ...this.#identity, indexStartBlock, indexRootBlock: rootBlock });
    const padding = new Uint8Array(indexStartBlock * BLOCK_SIZE - this.#offset);
    return {
      desc,
      name: formatLayerName(desc),
      sizeBytes: (indexStartBlock + blocks.length) * BLOCK_SIZE,
      entryCount: this.#btree.entryCount,
      chunks: [head, ...this.#blobs, ...(padding.length > 0 ? [padding] : []), ...blocks],
    };
  }

  #reserve(sizeBytes: number): void {
    this.#checkRoom(sizeBytes);
    if (this.#slab.length - this.#slabEnd >= sizeBytes) return;
    this.#flushSlab();
    this.#slab = new Uint8Array(Math.max(SLAB_BYTES, sizeBytes));
    this.#slabStart = 0;
    this.#slabEnd = 0;
  }

  #take(sizeBytes: number): void {
    this.#slabEnd += sizeBytes;
    this.#offset += sizeBytes;
  }

  #flushSlab(): void {
    if (this.#slabEnd === this.#slabStart) return;
    this.#blobs.push(this.#slab.subarray(this.#slabStart, this.#slabEnd));
    this.#slabStart = this.#slabEnd;
  }

  #checkRoom(sizeBytes: number): void {
    if (this.#offset + sizeBytes <= LAYER_BYTES_MAX) return;
    throw new NeonLayerError({
      code: 'NEON_LAYER_TOO_LARGE',
      operation: 'build',
      message: `A layer is at most ${LAYER_BYTES_MAX} bytes large; finish it and begin another.`,
    });
  }
}

/** The error of a builder whose caller broke its contract. */
export function invalidArgument(message: string): NeonLayerError {
  return new NeonLayerError({ code: 'NEON_LAYER_INVALID_ARGUMENT', operation: 'build', message });
}

import { DiskBtreeBuilder } from './disk-btree-builder.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOCK_SIZE, LAYER_BYTES_MAX } from './layer-format.ts';
import { formatLayerName, type LayerDesc } from './layer-name.ts';
import { encodeLayerSummary } from './layer-summary.ts';

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

  addBytes(blobs: Uint8Array): void {
    if (this.#offset + blobs.length > LAYER_BYTES_MAX) {
      throw new NeonLayerError({
        code: 'NEON_LAYER_TOO_LARGE',
        operation: 'build',
        message: `A layer is at most ${LAYER_BYTES_MAX} bytes large; finish it and begin another.`,
      });
    }
    this.#blobs.push(blobs);
    this.#offset += blobs.length;
  }

  finish(desc: LayerDesc): BuiltLayer {
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
}

/** The error of a builder whose caller broke its contract. */
export function invalidArgument(message: string): NeonLayerError {
  return new NeonLayerError({ code: 'NEON_LAYER_INVALID_ARGUMENT', operation: 'build', message });
}

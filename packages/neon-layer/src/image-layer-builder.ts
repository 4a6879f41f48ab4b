import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { assertKey, compareKeys, KEY_PREFIX_SIZE, KEY_SIZE, keyToHex } from './key.ts';
import { type BuiltLayer, invalidArgument, LayerAssembly } from './layer-assembly.ts';
import { BLOCK_SIZE } from './layer-format.ts';

export interface ImageLayerOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
  /** First key of the layer's range; where the previous layer ended. */
  readonly keyStart: Uint8Array;
}

/** Blobs of one relation fork or SLRU segment, in block order. */
export interface BlobRun {
  /** The first 14 bytes of the keys; a whole key is taken too, its block number is not looked at. */
  readonly keyPrefix: Uint8Array;
  /** The number of the first block where they follow each other, else one number for each blob, ascending. */
  readonly blockNumbers: number | Uint32Array;
  /** Stored blobs (header and payload), back to back. Kept by reference until the layer is stored. */
  readonly blobs: Uint8Array;
  /** Bytes of each blob, header included; their sum is `blobs.length`. */
  readonly lengths: Uint32Array;
}

/**
 * Builds an image layer: all keys of a range at one LSN. Append in strictly ascending key order, then `finish`.
 * Costs per entry are an index entry of 23 bytes or less and no object; blobs are kept as they come.
 */
export class ImageLayerBuilder {
  readonly #options: ImageLayerOptions;
  readonly #assembly: LayerAssembly;
  /** The key of the latest entry. */
  readonly #key = new Uint8Array(KEY_SIZE);
  readonly #keyView = new DataView(this.#key.buffer);

  constructor(options: ImageLayerOptions) {
    this.#options = { ...options, keyStart: Uint8Array.from(assertKey(options.keyStart)) };
    this.#assembly = new LayerAssembly(options, KEY_SIZE);
  }

  get entryCount(): number {
    return this.#assembly.entryCount;
  }

  /** Bytes of the blobs so far. */
  get storedBytes(): number {
    return this.#assembly.offset - BLOCK_SIZE;
  }

  /** Appends one stored blob (header and payload) under any key. */
  appendBlob(key: Uint8Array, storedBlob: Uint8Array): void {
    this.#key.set(assertKey(key));
    this.#checkStart();
    this.#assembly.index(this.#key, this.#assembly.offset);
    this.#assembly.addBytes(storedBlob);
  }

  /** Appends many blobs whose keys differ in the block number only. */
  appendRun({ keyPrefix, blockNumbers, blobs, lengths }: BlobRun): void {
    const listed = typeof blockNumbers === 'number' ? undefined : blockNumbers;
    if (listed !== undefined && listed.length !== lengths.length) {
      throw invalidArgument(`A run has ${listed.length} block numbers for ${lengths.length} blobs.`);
    }
    if (lengths.length === 0) return;
    this.#key.set(keyPrefix.subarray(0, KEY_PREFIX_SIZE));
    const first = typeof blockNumbers === 'number' ? blockNumbers : 0;
    let offset = this.#assembly.offset;
    for (let i = 0; i < lengths.length; i += 1) {
      this.#keyView.setUint32(KEY_PREFIX_SIZE, listed === undefined ? first + i : (listed[i] ?? 0));
      if (i === 0) this.#checkStart();
      this.#assembly.index(this.#key, offset);
      offset += lengths[i] ?? 0;
    }
    if (offset - this.#assembly.offset !== blobs.length) {
      throw invalidArgument(
        `The lengths of a run sum up to ${offset - this.#assembly.offset}, not to ${blobs.length}.`,
      );
    }
    this.#assembly.addBytes(blobs);
  }

  /** The file. `keyEnd` is the exclusive end of the layer's range: every live key up to it is in the layer. */
  finish(keyEnd: Uint8Array): BuiltLayer {
    if (this.entryCount > 0 && compareKeys(this.#key, keyEnd) >= 0) {
      throw invalidArgument(
        `The key ${keyToHex(this.#key)} lies behind the layer's end ${keyToHex(keyEnd)}.`,
      );
    }
    const { keyStart, lsn: lsnStart } = this.#options;
    return this.#assembly.finish({
      kind: 'image',
      keyStart,
      keyEnd: Uint8Array.from(assertKey(keyEnd)),
      lsnStart,
      lsnEnd: lsn(lsnStart + 1n),
    });
  }

  #checkStart(): void {
    if (this.entryCount === 0 && compareKeys(this.#key, this.#options.keyStart) < 0) {
      throw invalidArgument(`The key ${keyToHex(this.#key)} lies before the layer's range.`);
    }
  }
}

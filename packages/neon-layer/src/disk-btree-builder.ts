import { bytesToHex, compareBytes } from './bytes.ts';
import { BuildNode } from './disk-btree-build-node.ts';
import { NeonLayerError } from './layer-error.ts';
import { BTREE_VALUE_MAX } from './layer-format.ts';

const TWO_POW_32 = 0x1_0000_0000;
/** First byte of an inner entry's value; a block number follows. */
const INNER_VALUE_MARK = 0x80;

/** The finished index of a layer. */
export interface DiskBtree {
  /** Nodes in file order, 8192 bytes each. */
  readonly blocks: readonly Uint8Array[];
  /** Relative to the first index block; the root is the last block. */
  readonly rootBlock: number;
}

/**
 * Builds the B-tree of a layer, byte for byte as Neon's `DiskBtreeBuilder` does: append entries in strictly ascending key
 * order, then `finish` once.
 */
export class DiskBtreeBuilder {
  readonly #keySize: number;
  readonly #blocks: Uint8Array[] = [];
  /** By level, the leaf first. A node that was written stays here, empty, for its successor. */
  readonly #levels: BuildNode[];
  readonly #lastKey: Uint8Array;
  #count = 0;

  /** `keySize` is 18 for image layers, 26 for delta layers. */
  constructor(keySize: number) {
    this.#keySize = keySize;
    this.#levels = [new BuildNode(0, keySize)];
    this.#lastKey = new Uint8Array(keySize);
  }

  get entryCount(): number {
    return this.#count;
  }

  /** Adds an entry. The key is copied; `value` is at most 2^39 - 1. Throws `NEON_LAYER_INVALID_ARGUMENT`. */
  append(key: Uint8Array, value: number): void {
    if (key.length !== this.#keySize) throw invalidEntry(`a key has ${this.#keySize} bytes`, key);
    if (!(value >= 0 && value <= BTREE_VALUE_MAX))
      throw invalidEntry(`the value ${value} has no 39 bits`, key);
    if (this.#count > 0 && compareBytes(key, this.#lastKey) <= 0)
      throw invalidEntry('keys ascend strictly', key);
    this.#lastKey.set(key);
    this.#count += 1;
    this.#append(0, key, Math.floor(value / TWO_POW_32), value % TWO_POW_32);
  }

  /** Writes what is left; at least one entry is needed. */
  finish(): DiskBtree {
    if (this.#count === 0) {
      throw new NeonLayerError({
        code: 'NEON_LAYER_INVALID_ARGUMENT',
        operation: 'build',
        message: 'A layer needs at least one entry.',
      });
    }
    for (let level = 0; level < this.#levels.length - 1; level += 1) this.#flush(level);
    const root = this.#levels.at(-1);
    if (root !== undefined) this.#blocks.push(root.take());
    return { blocks: this.#blocks, rootBlock: this.#blocks.length - 1 };
  }

  #append(level: number, key: Uint8Array, high: number, low: number): void {
    const node = this.#nodeAt(level);
    if (node.push(key, high, low)) return;
    if (node.compress() && node.push(key, high, low)) return;
    this.#flush(level);
    if (!node.push(key, high, low)) throw invalidEntry('an entry fits an empty node', key);
  }

  #flush(level: number): void {
    const node = this.#nodeAt(level);
    const block = this.#blocks.length;
    this.#blocks.push(node.take());
    // The node keeps its first key until the next push.
    this.#append(level + 1, node.firstKey, INNER_VALUE_MARK, block);
  }

  #nodeAt(level: number): BuildNode {
    return (this.#levels[level] ??= new BuildNode(level, this.#keySize));
  }
}

function invalidEntry(rule: string, key: Uint8Array): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_INVALID_ARGUMENT',
    operation: 'build',
    message: `The index of a layer cannot take the key ${bytesToHex(key)}: ${rule}.`,
  });
}

import { bytesToHex } from './bytes.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOCK_SIZE, BTREE_LEVELS_MAX } from './layer-format.ts';

const HEADER_SIZE = 5;
const VALUE_SIZE = 5;
const LSN_SIZE = 8;
/** Where an LSN is put together; buffers of their own cost more than all else of a delta layer's index. */
const LSN_VIEW = new DataView(new ArrayBuffer(LSN_SIZE));
const INNER_VALUE_MARK = 0x80;
const TWO_POW_32 = 0x1_0000_0000;

/** What a node must keep to; a violation is `NEON_LAYER_CORRUPT`. */
export interface NodeRules {
  /** 18 for image layers, 26 for delta layers. */
  readonly keySize: number;
  /** Blocks of the index: children lie below this. */
  readonly blockCount: number;
  /** A leaf's values lie in `[leafValueMin, leafValueEnd)`. */
  readonly leafValueMin: number;
  readonly leafValueEnd: number;
}

/**
 * One block of a layer's index, checked when it is decoded: entries fit the block, keys and leaf values ascend strictly,
 * values lie in their bounds. Bytes: see `BuildNode`.
 */
export class BtreeNode {
  readonly level: number;
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #prefixSize: number;
  readonly #suffixSize: number;
  readonly #valuesOffset: number;

  /** Decodes a block; the node keeps a view of it. */
  static decode(block: Uint8Array, rules: NodeRules): BtreeNode {
    const node = new BtreeNode(block, rules.keySize);
    node.#checkKeys();
    if (node.level === 0) node.#checkLeafValues(rules);
    else node.#checkChildren(rules.blockCount);
    return node;
  }

  private constructor(block: Uint8Array, keySize: number) {
    this.#bytes = block;
    this.count = ((block[0] ?? 0) << 8) | (block[1] ?? 0);
    this.level = block[2] ?? 0;
    this.#prefixSize = block[3] ?? 0;
    this.#suffixSize = block[4] ?? 0;
    this.#valuesOffset = HEADER_SIZE + this.#prefixSize + this.count * this.#suffixSize;
    if (block.length !== BLOCK_SIZE) throw corruptNode(`it has ${block.length} bytes`);
    if (this.count === 0) throw corruptNode('it has no entry');
    if (this.level >= BTREE_LEVELS_MAX)
      throw corruptNode(`its level ${this.level} passes ${BTREE_LEVELS_MAX - 1}`);
    if (this.#prefixSize + this.#suffixSize !== keySize) {
      throw corruptNode(`keys of ${this.#prefixSize} + ${this.#suffixSize} bytes, expected ${keySize}`);
    }
    if (this.#valuesOffset + this.count * VALUE_SIZE > BLOCK_SIZE) {
      throw corruptNode(`${this.count} entries do not fit the block`);
    }
  }

  /** Bytes that all keys of the node have in common at their start, as stored. */
  get prefixSize(): number {
    return this.#prefixSize;
  }

  get keySize(): number {
    return this.#prefixSize + this.#suffixSize;
  }

  /** Writes the first `length` bytes of the entry's key to `out` at `outOffset`. */
  copyKey(index: number, out: Uint8Array, outOffset: number, length: number): void {
    const prefixEnd = Math.min(this.#prefixSize, length);
    for (let i = 0; i < prefixEnd; i += 1) out[outOffset + i] = this.#bytes[HEADER_SIZE + i] ?? 0;
    const suffix = HEADER_SIZE + this.#prefixSize + index * this.#suffixSize - prefixEnd;
    for (let i = prefixEnd; i < length; i += 1) out[outOffset + i] = this.#bytes[suffix + i] ?? 0;
  }

  /** The entry's key, as a copy. */
  keyAt(index: number): Uint8Array {
    const key = new Uint8Array(this.keySize);
    this.copyKey(index, key, 0, key.length);
    return key;
  }

  /** The value of a leaf's entry. */
  valueAt(index: number): number {
    const offset = this.#valuesOffset + index * VALUE_SIZE;
    return (this.#bytes[offset] ?? 0) * TWO_POW_32 + this.#lowValue(offset);
  }

  /** The block of an inner node's child, relative to the index. */
  childAt(index: number): number {
    return this.#lowValue(this.#valuesOffset + index * VALUE_SIZE);
  }

  /** Negative, 0 or positive as the entry's key is before, equal to, or after `key`; a shorter key comes first. */
  compareAt(index: number, key: Uint8Array): number {
    const keySize = Math.min(this.keySize, key.length);
    const suffix = HEADER_SIZE + this.#prefixSize + index * this.#suffixSize - this.#prefixSize;
    for (let i = 0; i < keySize; i += 1) {
      const own = this.#bytes[i < this.#prefixSize ? HEADER_SIZE + i : suffix + i] ?? 0;
      const difference = own - (key[i] ?? 0);
      if (difference !== 0) return difference;
    }
    return this.keySize - key.length;
  }

  /** Whether the entry's key begins with `key`. */
  startsWithAt(index: number, key: Uint8Array): boolean {
    const suffix = HEADER_SIZE + index * this.#suffixSize;
    for (let i = 0; i < key.length; i += 1) {
      if (this.#bytes[i < this.#prefixSize ? HEADER_SIZE + i : suffix + i] !== key[i]) return false;
    }
    return true;
  }

  /** The last eight bytes of the entry's key, BE: the LSN, in a delta layer. */
  lsnAt(index: number): bigint {
    const start = this.keySize - LSN_SIZE;
    const suffix = HEADER_SIZE + index * this.#suffixSize;
    for (let i = 0; i < LSN_SIZE; i += 1) {
      const at = start + i;
      LSN_VIEW.setUint8(i, this.#bytes[at < this.#prefixSize ? HEADER_SIZE + at : suffix + at] ?? 0);
    }
    return LSN_VIEW.getBigUint64(0);
  }

  /** Index of the first entry in `[from, count)` whose key is not before `key`; `count` when there is none. */
  lowerBound(key: Uint8Array, from = 0): number {
    let low = from;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compareAt(middle, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #lowValue(offset: number): number {
    return (
      (((this.#bytes[offset + 1] ?? 0) << 24) |
        ((this.#bytes[offset + 2] ?? 0) << 16) |
        ((this.#bytes[offset + 3] ?? 0) << 8) |
        (this.#bytes[offset + 4] ?? 0)) >>>
      0
    );
  }

  #checkKeys(): void {
    const first = HEADER_SIZE + this.#prefixSize;
    for (let i = 1; i < this.count; i += 1) {
      const current = first + i * this.#suffixSize;
      let at = 0;
      while (
        at < this.#suffixSize &&
        this.#bytes[current + at] === this.#bytes[current - this.#suffixSize + at]
      )
        at += 1;
      const ascends =
        at < this.#suffixSize &&
        (this.#bytes[current + at] ?? 0) > (this.#bytes[current - this.#suffixSize + at] ?? 0);
      if (!ascends) throw corruptNode(`its keys do not ascend at entry ${i} (${bytesToHex(this.keyAt(i))})`);
    }
  }

  #checkLeafValues({ leafValueMin, leafValueEnd }: NodeRules): void {
    let previous = leafValueMin - 1;
    for (let i = 0; i < this.count; i += 1) {
      const value = this.valueAt(i);
      if (value <= previous || value >= leafValueEnd) {
        throw corruptNode(`the value ${value} of entry ${i} is not between ${previous} and ${leafValueEnd}`);
      }
      previous = value;
    }
  }

  #checkChildren(blockCount: number): void {
    for (let i = 0; i < this.count; i += 1) {
      const mark = this.#bytes[this.#valuesOffset + i * VALUE_SIZE];
      if (mark !== INNER_VALUE_MARK || this.childAt(i) >= blockCount) {
        throw corruptNode(`its child ${i} is not one of the ${blockCount} blocks of the index`);
      }
    }
  }
}

/** The error of an index that is not a B-tree. */
export function corruptNode(reason: string): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_CORRUPT',
    operation: 'decode',
    message: `The index of a layer is damaged: a node is not valid, ${reason}.`,
  });
}

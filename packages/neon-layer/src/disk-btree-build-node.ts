import { BLOCK_SIZE } from './layer-format.ts';

const HEADER_SIZE = 5;
const VALUE_SIZE = 5;

/**
 * One B-tree node while it fills. Suffixes and values lie in two reused buffers; a node is emptied, not allocated, when it
 * was written.
 *
 * Node bytes: n u16 | level u8 | p u8 | s u8 | prefix[p] | n suffixes[s] | n values[5] | zeros to 8192.
 */
export class BuildNode {
  readonly level: number;
  readonly #keySize: number;
  readonly #firstKey: Uint8Array;
  readonly #suffixes = new Uint8Array(BLOCK_SIZE);
  readonly #values = new Uint8Array(BLOCK_SIZE);
  #count = 0;
  #prefixSize = 0;
  #suffixSize: number;
  /** Bytes that the node takes when written. */
  #size = HEADER_SIZE;

  constructor(level: number, keySize: number) {
    this.level = level;
    this.#keySize = keySize;
    this.#suffixSize = keySize;
    this.#firstKey = new Uint8Array(keySize);
  }

  get firstKey(): Uint8Array {
    return this.#firstKey;
  }

  /** Adds an entry; false when it does not fit. `high` is the first byte of the value, `low` the other four. */
  push(key: Uint8Array, high: number, low: number): boolean {
    const suffixSize = this.#suffixSize;
    if (this.#size + suffixSize + VALUE_SIZE >= BLOCK_SIZE || !this.#hasPrefix(key)) return false;
    if (this.#count === 0) this.#firstKey.set(key);
    const prefixSize = this.#prefixSize;
    const suffixOffset = this.#count * suffixSize;
    for (let i = 0; i < suffixSize; i += 1) this.#suffixes[suffixOffset + i] = key[prefixSize + i] ?? 0;
    const valueOffset = this.#count * VALUE_SIZE;
    this.#values[valueOffset] = high;
    this.#values[valueOffset + 1] = low >>> 24;
    this.#values[valueOffset + 2] = low >>> 16;
    this.#values[valueOffset + 3] = low >>> 8;
    this.#values[valueOffset + 4] = low;
    this.#count += 1;
    this.#size += suffixSize + VALUE_SIZE;
    return true;
  }

  /** Moves what all suffixes have in common to the prefix; false when that is nothing. */
  compress(): boolean {
    const common = this.#commonSuffixStart();
    if (common === 0) return false;
    const [from, to] = [this.#suffixSize, this.#suffixSize - common];
    for (let i = 0; i < this.#count; i += 1) {
      this.#suffixes.copyWithin(i * to, i * from + common, (i + 1) * from);
    }
    this.#prefixSize += common;
    this.#suffixSize = to;
    this.#size = HEADER_SIZE + this.#prefixSize + this.#count * (to + VALUE_SIZE);
    return true;
  }

  /** The node as a block; the node is empty afterwards. */
  take(): Uint8Array {
    const block = new Uint8Array(BLOCK_SIZE);
    const suffixBytes = this.#count * this.#suffixSize;
    block[0] = this.#count >>> 8;
    block[1] = this.#count;
    block[2] = this.level;
    block[3] = this.#prefixSize;
    block[4] = this.#suffixSize;
    block.set(this.#firstKey.subarray(0, this.#prefixSize), HEADER_SIZE);
    block.set(this.#suffixes.subarray(0, suffixBytes), HEADER_SIZE + this.#prefixSize);
    const values = this.#values.subarray(0, this.#count * VALUE_SIZE);
    block.set(values, HEADER_SIZE + this.#prefixSize + suffixBytes);
    this.#count = 0;
    this.#prefixSize = 0;
    this.#suffixSize = this.#keySize;
    this.#size = HEADER_SIZE;
    return block;
  }

  #hasPrefix(key: Uint8Array): boolean {
    for (let i = 0; i < this.#prefixSize; i += 1) {
      if (key[i] !== this.#firstKey[i]) return false;
    }
    return true;
  }

  /** Keys ascend, so what the first and the last suffix share, all share. */
  #commonSuffixStart(): number {
    const last = (this.#count - 1) * this.#suffixSize;
    let common = 0;
    while (common < this.#suffixSize && this.#suffixes[common] === this.#suffixes[last + common]) common += 1;
    return common;
  }
}

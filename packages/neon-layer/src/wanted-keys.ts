import { compareKeys, KEY_SIZE, keyToHex } from './key.ts';
import { type KeyRange, rangeContains } from './key-range.ts';
import { NeonLayerError } from './layer-error.ts';

/** Keys that are looked for one after the other, in ascending order, by one walk over the indexes. */
export class WantedKeys {
  readonly #keys: readonly Uint8Array[];
  #next = 0;

  /** Throws `NEON_LAYER_INVALID_ARGUMENT` unless the keys ascend strictly. */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys;
    const unordered = keys.findIndex((key, i) => i > 0 && compareKeys(keys[i - 1] ?? key, key) >= 0);
    if (unordered > 0) {
      throw new NeonLayerError({
        code: 'NEON_LAYER_INVALID_ARGUMENT',
        operation: 'read',
        message: `Keys are asked for in ascending order; ${keyToHex(keys[unordered] ?? new Uint8Array())} is not.`,
      });
    }
  }

  /** The next key that was not passed yet. */
  get next(): Uint8Array | undefined {
    return this.#keys[this.#next];
  }

  /** Whether the key at `offset` is wanted; asked in ascending order. Keys before it are passed. */
  take(keys: Uint8Array, offset: number): boolean {
    for (let wanted = this.next; wanted !== undefined; wanted = this.next) {
      const order = compareAt(wanted, keys, offset);
      if (order > 0) return false;
      this.#next += 1;
      if (order === 0) return true;
    }
    return false;
  }

  /** Whether any of the keys, passed or not, lies in the range. */
  hasAnyIn(range: KeyRange): boolean {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const key = this.#keys[middle];
      if (key !== undefined && compareKeys(key, range.start) < 0) low = middle + 1;
      else high = middle;
    }
    const key = this.#keys[low];
    return key !== undefined && rangeContains(range, key);
  }
}

function compareAt(key: Uint8Array, keys: Uint8Array, offset: number): number {
  for (let i = 0; i < KEY_SIZE; i += 1) {
    const difference = (key[i] ?? 0) - (keys[offset + i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

import { KEY_SIZE } from '@neon-snapshot/neon-layer';

/** A key as five numbers of 32 bits: kind and fork, tablespace, database, relation, block. */
const WORDS = 5;
const FIRST_CAPACITY = 1024;
const EMPTY = -1;

/** Numbers keys from 0 on, in the order in which they come. No object and no string for a key: ingest looks one up for every change. */
export class KeyTable {
  #slots = new Int32Array(FIRST_CAPACITY * 2).fill(EMPTY);
  #words = new Uint32Array(FIRST_CAPACITY * WORDS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Memory of the table. */
  get sizeBytes(): number {
    return this.#slots.byteLength + this.#words.byteLength;
  }

  /** The number of a key, or -1. */
  find(key: Uint8Array): number {
    return this.#slots[this.#slotOf(key)] ?? EMPTY;
  }

  /** The number of a key, which gets one where it has none. */
  add(key: Uint8Array): number {
    const slot = this.#slotOf(key);
    const found = this.#slots[slot] ?? EMPTY;
    if (found !== EMPTY) return found;
    const index = this.#count;
    this.#count += 1;
    this.#slots[slot] = index;
    if (index * WORDS === this.#words.length) this.#growWords();
    const at = index * WORDS;
    this.#words[at] = headOf(key);
    this.#words[at + 1] = u32(key, 1);
    this.#words[at + 2] = u32(key, 5);
    this.#words[at + 3] = u32(key, 9);
    this.#words[at + 4] = u32(key, 14);
    if (this.#count * 2 > this.#slots.length) this.#growSlots();
    return index;
  }

  /** The key of a number; a fresh array. */
  keyAt(index: number): Uint8Array {
    const at = index * WORDS;
    const words = this.#words;
    const key = new Uint8Array(KEY_SIZE);
    const head = words[at] ?? 0;
    key[0] = head >>> 8;
    key[13] = head;
    setU32(key, 1, words[at + 1] ?? 0);
    setU32(key, 5, words[at + 2] ?? 0);
    setU32(key, 9, words[at + 3] ?? 0);
    setU32(key, 14, words[at + 4] ?? 0);
    return key;
  }

  /** All numbers in the order of their keys. */
  sorted(): Int32Array {
    const indexes = Int32Array.from({ length: this.#count }, (_, index) => index);
    return indexes.sort((a, b) => this.#compare(a * WORDS, b * WORDS));
  }

  #compare(a: number, b: number): number {
    const words = this.#words;
    const [headA, headB] = [words[a] ?? 0, words[b] ?? 0];
    return (
      (headA >>> 8) - (headB >>> 8) ||
      (words[a + 1] ?? 0) - (words[b + 1] ?? 0) ||
      (words[a + 2] ?? 0) - (words[b + 2] ?? 0) ||
      (words[a + 3] ?? 0) - (words[b + 3] ?? 0) ||
      (headA & 0xff) - (headB & 0xff) ||
      (words[a + 4] ?? 0) - (words[b + 4] ?? 0)
    );
  }

  /** Where the key is, or where it belongs. */
  #slotOf(key: Uint8Array): number {
    const [slots, words] = [this.#slots, this.#words];
    const mask = slots.length - 1;
    const head = headOf(key);
    const [first, second, third, last] = [u32(key, 1), u32(key, 5), u32(key, 9), u32(key, 14)];
    for (let slot = hash(head ^ second, third, last) & mask; ; slot = (slot + 1) & mask) {
      const index = slots[slot] as number;
      if (index === EMPTY) return slot;
      const at = index * WORDS;
      if (
        words[at + 4] === last &&
        words[at + 3] === third &&
        words[at] === head &&
        words[at + 2] === second &&
        words[at + 1] === first
      )
        return slot;
    }
  }

  #growWords(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }

  #growSlots(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(EMPTY);
    const mask = this.#slots.length - 1;
    const words = this.#words;
    for (let index = 0; index < this.#count; index += 1) {
      const at = index * WORDS;
      const head = (words[at] ?? 0) ^ (words[at + 2] ?? 0);
      let slot = hash(head, words[at + 3] ?? 0, words[at + 4] ?? 0) & mask;
      while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & mask;
      this.#slots[slot] = index;
    }
  }
}

/** Spreads neighbouring blocks of one relation over the whole table. */
function hash(head: number, relation: number, block: number): number {
  let mixed = Math.imul(block ^ Math.imul(relation, 0x9e37_79b1), 0x85eb_ca6b) ^ Math.imul(head, 0xc2b2_ae35);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x2c1b_3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

function headOf(key: Uint8Array): number {
  return ((key[0] as number) << 8) | (key[13] as number);
}

/** Of places that are known to be inside. */
function u32(key: Uint8Array, at: number): number {
  return (
    (((key[at] as number) << 24) |
      ((key[at + 1] as number) << 16) |
      ((key[at + 2] as number) << 8) |
      (key[at + 3] as number)) >>>
    0
  );
}

function setU32(key: Uint8Array, at: number, value: number): void {
  key[at] = value >>> 24;
  key[at + 1] = value >>> 16;
  key[at + 2] = value >>> 8;
  key[at + 3] = value;
}

/** XXH32 (xxHash specification 0.1.1), the checksum of LZ4 frames. */

const PRIME_1 = 0x9e3779b1 | 0;
const PRIME_2 = 0x85ebca77 | 0;
const PRIME_3 = 0xc2b2ae3d | 0;
const PRIME_4 = 0x27d4eb2f | 0;
const PRIME_5 = 0x165667b1 | 0;
const STRIPE_SIZE = 16;

/** Hash of a stream of chunks, seed 0. */
export class Xxh32 {
  readonly #lanes = Int32Array.of((PRIME_1 + PRIME_2) | 0, PRIME_2, 0, -PRIME_1 | 0);
  readonly #tail = new Uint8Array(STRIPE_SIZE);
  #tailLength = 0;
  #length = 0;

  update(bytes: Uint8Array): this {
    this.#length += bytes.length;
    let offset = 0;
    if (this.#tailLength > 0) {
      offset = Math.min(bytes.length, STRIPE_SIZE - this.#tailLength);
      this.#tail.set(bytes.subarray(0, offset), this.#tailLength);
      this.#tailLength += offset;
      if (this.#tailLength < STRIPE_SIZE) return this;
      this.#consume(this.#tail, 0, STRIPE_SIZE);
      this.#tailLength = 0;
    }
    const end = offset + ((bytes.length - offset) & ~(STRIPE_SIZE - 1));
    this.#consume(bytes, offset, end);
    this.#tail.set(bytes.subarray(end));
    this.#tailLength = bytes.length - end;
    return this;
  }

  /** An unsigned 32-bit number. */
  digest(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#lanes;
    let hash =
      this.#length >= STRIPE_SIZE
        ? (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
        : PRIME_5;
    hash = (hash + this.#length) | 0;
    let offset = 0;
    for (; offset + 4 <= this.#tailLength; offset += 4)
      hash = Math.imul(rotate((hash + Math.imul(word(this.#tail, offset), PRIME_3)) | 0, 17), PRIME_4);
    for (; offset < this.#tailLength; offset += 1)
      hash = Math.imul(rotate((hash + Math.imul(this.#tail[offset] ?? 0, PRIME_5)) | 0, 11), PRIME_1);
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #consume(bytes: Uint8Array, start: number, end: number): void {
    let [a = 0, b = 0, c = 0, d = 0] = this.#lanes;
    for (let offset = start; offset < end; offset += STRIPE_SIZE) {
      a = round(a, word(bytes, offset));
      b = round(b, word(bytes, offset + 4));
      c = round(c, word(bytes, offset + 8));
      d = round(d, word(bytes, offset + 12));
    }
    this.#lanes.set([a, b, c, d]);
  }
}

export function xxh32(bytes: Uint8Array): number {
  return new Xxh32().update(bytes).digest();
}

function round(lane: number, input: number): number {
  return Math.imul(rotate((lane + Math.imul(input, PRIME_2)) | 0, 13), PRIME_1);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function word(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] ?? 0) |
    ((bytes[offset + 1] ?? 0) << 8) |
    ((bytes[offset + 2] ?? 0) << 16) |
    ((bytes[offset + 3] ?? 0) << 24)
  );
}

/**
 * LZ4 block format (lz4_Block_format.md 1.6.4): sequences of a token (literal length, match length - 4; 15 continues in further
 * bytes, 255 continues again), literals, a 2-byte little-endian offset back into the output. The last sequence has no match.
 */

const MIN_MATCH = 4;
const RUN_MASK = 15;
/** A match may reach this far back, also into the blocks before in a frame of linked blocks. */
export const LZ4_WINDOW_SIZE = 64 * 1024;
/** The last match starts at least 12 bytes before the end of a block, the last 5 bytes are literals. */
const MATCH_START_LIMIT = 12;
const LAST_LITERALS = 5;
const HASH_BITS = 14;

/** Why a block can't be decoded; the frame reader says where. */
export class Lz4BlockFault extends Error {
  override readonly name = 'Lz4BlockFault';
}

/**
 * Decodes one block into `target` from `targetStart`. Matches may reach back to `historyStart`.
 * Returns the end of the output. Throws {@link Lz4BlockFault} before writing or reading outside the given bounds.
 */
export function decodeLz4Block(
  source: Uint8Array,
  target: Uint8Array,
  bounds: { readonly targetStart: number; readonly targetEnd: number; readonly historyStart: number },
): number {
  const { targetEnd, historyStart } = bounds;
  const sourceEnd = source.length;
  let input = 0;
  let output = bounds.targetStart;
  while (input < sourceEnd) {
    const token = source[input++] ?? 0;
    let literals = token >>> 4;
    if (literals === RUN_MASK) {
      let more = 255;
      while (more === 255) {
        if (input >= sourceEnd) throw new Lz4BlockFault('ends inside a literal length');
        literals += more = source[input++] ?? 0;
      }
    }
    if (literals > sourceEnd - input) throw new Lz4BlockFault('has fewer literals than announced');
    if (literals > targetEnd - output) throw new Lz4BlockFault('decodes to more than a block');
    // Short runs are the rule, and subarray costs more than a few bytes.
    if (literals < 32)
      for (const end = input + literals; input < end; ) target[output++] = source[input++] ?? 0;
    else {
      target.set(source.subarray(input, input + literals), output);
      input += literals;
      output += literals;
    }
    if (input === sourceEnd) return output;
    if (input + 2 > sourceEnd) throw new Lz4BlockFault('ends inside a match offset');
    const offset = (source[input] ?? 0) | ((source[input + 1] ?? 0) << 8);
    input += 2;
    if (offset === 0 || offset > output - historyStart)
      throw new Lz4BlockFault('refers to bytes before its window');
    let length = (token & RUN_MASK) + MIN_MATCH;
    if ((token & RUN_MASK) === RUN_MASK) {
      let more = 255;
      while (more === 255) {
        if (input >= sourceEnd) throw new Lz4BlockFault('ends inside a match length');
        length += more = source[input++] ?? 0;
      }
    }
    if (length > targetEnd - output) throw new Lz4BlockFault('decodes to more than a block');
    if (length >= 32 && offset >= length) {
      target.copyWithin(output, output - offset, output - offset + length);
      output += length;
    } else
      for (const end = output + length; output < end; output += 1)
        target[output] = target[output - offset] ?? 0;
  }
  throw new Lz4BlockFault('ends without its last literals');
}

/** Upper bound of {@link encodeLz4Block}'s output. */
export function lz4BlockBound(sizeBytes: number): number {
  return sizeBytes + Math.ceil(sizeBytes / 255) + 16;
}

/** Encodes one independent block into `target`, which holds {@link lz4BlockBound} bytes; returns the length. Greedy, one hash table. */
export function encodeLz4Block(source: Uint8Array, target: Uint8Array, table: Int32Array): number {
  table.fill(-1);
  const matchStartEnd = source.length - MATCH_START_LIMIT;
  const matchEnd = source.length - LAST_LITERALS;
  let anchor = 0;
  let output = 0;
  let misses = 0;
  for (let input = 0; input < matchStartEnd; ) {
    const sequence = word(source, input);
    const slot = Math.imul(sequence, 2654435761) >>> (32 - HASH_BITS);
    const candidate = table[slot] ?? -1;
    table[slot] = input;
    if (candidate < 0 || input - candidate >= LZ4_WINDOW_SIZE || word(source, candidate) !== sequence) {
      // Steps grow while nothing matches, so that incompressible data passes quickly.
      input += 1 + (misses++ >>> 6);
      continue;
    }
    misses = 0;
    let end = input + MIN_MATCH;
    for (let from = candidate + MIN_MATCH; end < matchEnd && source[end] === source[from]; from += 1)
      end += 1;
    output = putSequence(target, output, {
      literals: source.subarray(anchor, input),
      offset: input - candidate,
      matchLength: end - input,
    });
    input = end;
    anchor = end;
  }
  return putSequence(target, output, { literals: source.subarray(anchor), offset: 0, matchLength: 0 });
}

export function createLz4HashTable(): Int32Array {
  return new Int32Array(1 << HASH_BITS);
}

interface Sequence {
  readonly literals: Uint8Array;
  readonly offset: number;
  /** 0 for the last sequence, which has no match. */
  readonly matchLength: number;
}

function putSequence(target: Uint8Array, start: number, sequence: Sequence): number {
  const { literals, offset, matchLength } = sequence;
  const extra = matchLength === 0 ? 0 : matchLength - MIN_MATCH;
  target[start] = (Math.min(literals.length, RUN_MASK) << 4) | Math.min(extra, RUN_MASK);
  let output = putLength(target, start + 1, literals.length);
  target.set(literals, output);
  output += literals.length;
  if (matchLength === 0) return output;
  target[output] = offset & 0xff;
  target[output + 1] = offset >>> 8;
  return putLength(target, output + 2, extra);
}

function putLength(target: Uint8Array, start: number, length: number): number {
  let output = start;
  if (length < RUN_MASK) return output;
  let rest = length - RUN_MASK;
  for (; rest >= 255; rest -= 255) target[output++] = 255;
  target[output++] = rest;
  return output;
}

function word(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] ?? 0) |
    ((bytes[offset + 1] ?? 0) << 8) |
    ((bytes[offset + 2] ?? 0) << 16) |
    ((bytes[offset + 3] ?? 0) << 24)
  );
}

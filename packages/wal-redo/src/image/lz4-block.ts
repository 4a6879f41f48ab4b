/** One raw LZ4 block: token, literals, little-endian distance, match; lengths of 15 go on in bytes up to one that is not 255. */
import { invalidRecord } from '../redo-fault.ts';

const MATCH_MIN = 4;
const LENGTH_GOES_ON = 15;

/** Fills `target` from the whole `source`; anything else is REDO_INVALID_RECORD. */
export function decompressLz4Block(source: Uint8Array, target: Uint8Array): void {
  let from = 0;
  let to = 0;
  const next = (): number => {
    const byte = source[from++];
    if (byte === undefined) throw invalidRecord('lz4 image ends early');
    return byte;
  };
  const length = (start: number): number => {
    let total = start;
    if (start !== LENGTH_GOES_ON) return total;
    let byte: number;
    do {
      byte = next();
      total += byte;
    } while (byte === 255);
    return total;
  };
  for (;;) {
    const token = next();
    const literals = length(token >> 4);
    if (to + literals > target.length || from + literals > source.length) {
      throw invalidRecord('lz4 literals pass the end of the image');
    }
    target.set(source.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    // The last sequence has no match.
    if (from === source.length) break;
    const distance = next() | (next() << 8);
    const end = to + length(token & 15) + MATCH_MIN;
    if (distance === 0 || distance > to || end > target.length) {
      throw invalidRecord('lz4 match is outside the image');
    }
    for (; to < end; to++) target[to] = target[to - distance] as number;
  }
  if (to !== target.length) throw invalidRecord(`lz4 image has ${to} bytes; expected ${target.length}`);
}

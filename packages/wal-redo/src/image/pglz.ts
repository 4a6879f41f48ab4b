/**
 * pglz (pg_lzcompress.c): a control byte's bits from the low one: 0 a literal byte, 1 a match of two or three bytes:
 * length (a & 15) + 3 (18: plus a third byte), distance (a & 0xf0) << 4 | b.
 */
import { invalidRecord } from '../redo-fault.ts';

/** Fills `target` from the whole `source`; anything else is REDO_INVALID_RECORD. */
export function decompressPglz(source: Uint8Array, target: Uint8Array): void {
  let from = 0;
  let to = 0;
  const next = (): number => {
    const byte = source[from++];
    if (byte === undefined) throw invalidRecord('pglz image ends early');
    return byte;
  };
  while (to < target.length) {
    let control = next();
    for (let bit = 0; bit < 8 && to < target.length; bit++, control >>= 1) {
      if ((control & 1) === 0) {
        target[to++] = next();
        continue;
      }
      const first = next();
      const distance = ((first & 0xf0) << 4) | next();
      let length = (first & 0x0f) + 3;
      if (length === 18) length += next();
      if (distance === 0 || distance > to) throw invalidRecord('pglz match reaches before the image');
      for (const end = Math.min(to + length, target.length); to < end; to++) {
        target[to] = target[to - distance] as number;
      }
    }
  }
  if (from !== source.length) throw invalidRecord('pglz image has bytes behind its end');
}

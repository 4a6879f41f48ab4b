import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/**
 * CRC-32C (Castagnoli, reflected, initial and final xor 0xFFFFFFFF) as u32; source: port/pg_crc32c.h.
 * To go on over more bytes give the CRC so far as `seed`.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return nativeCrc32c(bytes, seed);
}

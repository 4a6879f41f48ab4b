/** The checksum of one page (checksum_impl.h), in plain JavaScript: 4 µs or more. For many pages see {@link createPageChecksums}. */
import { BLCKSZ } from './page.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

/** `checksumBaseOffsets`: where the 32 sums start. */
const BASE_OFFSETS = Uint32Array.of(
  0x5b1f36e9,
  0xb8525960,
  0x02ab50aa,
  0x1de66d2a,
  0x79ff467a,
  0x9bb9f8a3,
  0x217e7cd2,
  0x83e13d2c,
  0xf8d4474f,
  0xe39eb970,
  0x42c6ae16,
  0x993216fa,
  0x7b093b5d,
  0x98daff3c,
  0xf718902a,
  0x0b1c9cdb,
  0xe58f764b,
  0x187636bc,
  0x5d7b3bb1,
  0xe73de7de,
  0x92bec979,
  0xcca6c0b2,
  0x304a0979,
  0x85aa43d4,
  0x783125bb,
  0x6ca8eaa2,
  0xe407eac6,
  0x4b5cfc3e,
  0x9fbf8c76,
  0x15ca20be,
  0xf2ca9fd3,
  0x959bd756,
);
const SUMS = 32;
const FNV_PRIME = 16777619;
const CHECKSUM_MODULUS = 65535;
/** `pd_checksum` is the low half of the third word. */
const CHECKSUM_WORD = 2;

/**
 * The value that `pd_checksum` should have, 1 to 65535; the stored one is not looked at.
 * `blockNumber` counts from the start of the relation fork, not of the segment.
 */
export function pageChecksum(page: Uint8Array, blockNumber: number): number {
  if (page.length !== BLCKSZ) {
    throw new PostgresFormatError({
      code: 'POSTGRES_TRUNCATED',
      operation: 'compute page checksum',
      message: `A page has ${BLCKSZ} bytes; found ${page.length}`,
      context: { size: page.length },
    });
  }
  const view = new DataView(page.buffer, page.byteOffset, BLCKSZ);
  const sums = BASE_OFFSETS.slice();
  for (let word = 0; word < BLCKSZ / 4; word++) {
    const value = view.getUint32(word * 4, true);
    mix(sums, word % SUMS, word === CHECKSUM_WORD ? value & 0xffff_0000 : value);
  }
  for (let word = 0; word < 2 * SUMS; word++) mix(sums, word % SUMS, 0);
  const folded = sums.reduce((left, right) => left ^ right, blockNumber);
  return ((folded >>> 0) % CHECKSUM_MODULUS) + 1;
}

function mix(sums: Uint32Array, index: number, word: number): void {
  const mixed = (sums[index] ?? 0) ^ word;
  sums[index] = Math.imul(mixed, FNV_PRIME) ^ (mixed >>> 17);
}

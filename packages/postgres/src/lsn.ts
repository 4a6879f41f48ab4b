/** A byte position in the WAL, 0 to 2^64 - 1. 0 is invalid. */
export type Lsn = bigint & { readonly __brand: 'Lsn' };

const LSN_MAX = 0xffff_ffff_ffff_ffffn;

/** Brands a bigint as an LSN; throws `RangeError` outside u64. */
export function lsn(value: bigint): Lsn {
  if (value < 0n || value > LSN_MAX) throw new RangeError(`LSN ${value} is outside 0..2^64-1`);
  return value as Lsn;
}

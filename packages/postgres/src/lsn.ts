import { PostgresFormatError } from './postgres-format-error.ts';

/** A byte position in the WAL, 0 to 2^64 - 1. 0 is invalid. */
export type Lsn = bigint & { readonly __brand: 'Lsn' };

const LSN_MAX = 0xffff_ffff_ffff_ffffn;
const LSN_TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** `InvalidXLogRecPtr` of xlogdefs.h. */
export const ZERO_LSN = 0n as Lsn;

/** Brands a bigint as an LSN; throws `RangeError` outside u64. */
export function lsn(value: bigint): Lsn {
  if (value < 0n || value > LSN_MAX) throw new RangeError(`LSN ${value} is outside 0..2^64-1`);
  return value as Lsn;
}

/** Parses Postgres' text form `HI/LO` (hex halves); throws `POSTGRES_INVALID` for anything else. */
export function parseLsn(text: string): Lsn {
  const match = LSN_TEXT.exec(text);
  if (match === null) {
    throw new PostgresFormatError({
      code: 'POSTGRES_INVALID',
      operation: 'parse LSN',
      message: `"${text}" is not an LSN; expected two hex numbers such as 0/16B3748`,
      context: { text },
    });
  }
  return lsn((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`));
}

/** Postgres' text form `HI/LO`: upper-case hex, no zero padding, as `pg_lsn` prints it. */
export function formatLsn(value: Lsn): string {
  const high = (value >> 32n).toString(16);
  const low = (value & 0xffff_ffffn).toString(16);
  return `${high}/${low}`.toUpperCase();
}

/** 16 upper-case hex digits, as Neon's layer names hold it. */
export function formatLsnHex(value: Lsn): string {
  return value.toString(16).toUpperCase().padStart(16, '0');
}

/** Rounds up to the next multiple of 8, where WAL records start; throws `RangeError` past u64. */
export function alignLsn(value: Lsn): Lsn {
  return lsn((value + 7n) & ~7n);
}

import { protocolError } from './pq-error.ts';

/** A decimal number of a server as a bigint from 0 to `maximum`. Throws `PQ_PROTOCOL`. */
export function parseDecimalText(text: string, name: string, maximum: bigint): bigint {
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (value !== undefined && value <= maximum) return value;
  throw protocolError('read row', `the server gives "${text.slice(0, 40)}" as ${name}`, { name });
}

export const UINT32_MAX = 0xffff_ffffn;
export const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

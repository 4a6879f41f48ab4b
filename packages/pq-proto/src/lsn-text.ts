import { protocolError } from './pq-error.ts';

const LSN_TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** `HI/LO` as Postgres prints it, into a plain bigint. Throws `PQ_PROTOCOL` for anything else. */
export function parseLsnText(text: string): bigint {
  const match = LSN_TEXT.exec(text);
  if (match === null)
    throw protocolError('parse LSN', `the server gave "${text.slice(0, 40)}" where an LSN belongs`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

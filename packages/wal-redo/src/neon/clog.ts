/** Commit status pages (clog.c): two bits for each xid. Neon keeps the time of the last commit behind the page. */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { Bytes, setU8, u8 } from '../bytes.ts';
import { invalidPage } from '../redo-fault.ts';

const XIDS_PER_PAGE = 32768;
const STATUS_COMMITTED = 1;
const STATUS_ABORTED = 2;

/** A page and an i64 BE behind it. */
const STAMPED_SIZE = BLCKSZ + 8;

/** ClogSetCommitted: a value of 8200 bytes, whatever it was before. */
export function setClogCommitted(
  value: Uint8Array,
  record: { readonly xids: readonly number[]; readonly timestamp: bigint },
): Uint8Array {
  setStatus(value, record.xids, STATUS_COMMITTED);
  const stamped = value.length === STAMPED_SIZE ? value : new Uint8Array(STAMPED_SIZE);
  if (stamped !== value) stamped.set(value);
  const view = new DataView(stamped.buffer, stamped.byteOffset, STAMPED_SIZE);
  view.setBigInt64(BLCKSZ, record.timestamp, false);
  return stamped;
}

/** ClogSetAborted: the length stays. */
export function setClogAborted(value: Uint8Array, record: { readonly xids: readonly number[] }): Uint8Array {
  setStatus(value, record.xids, STATUS_ABORTED);
  return value;
}

function setStatus(value: Uint8Array, xids: readonly number[], status: number): void {
  if (value.length !== BLCKSZ && value.length !== STAMPED_SIZE) {
    throw invalidPage(`a clog page has ${BLCKSZ} or ${STAMPED_SIZE} bytes`);
  }
  const bytes = new Bytes(value);
  for (const xid of xids) {
    const at = (xid % XIDS_PER_PAGE) >> 2;
    const shift = (xid & 3) * 2;
    setU8(bytes, at, (u8(bytes, at) & ~(3 << shift)) | (status << shift));
  }
}

/** Files of `pg_twophase`: the state of a prepared transaction as its WAL record has it, then its CRC-32C as u32, little endian. Source: twophase.c. */
import { crc32c } from './crc32c.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

const CRC_BYTES = 4;
/** From here on file names are full transaction ids. */
const FULL_XIDS_SINCE_MAJOR = 17;

/** `TwoPhaseFilePath`: `pg_twophase/000002E1`, from Postgres 17 on `pg_twophase/00000000000002E1`. */
export function formatTwoPhasePath(xid: bigint, postgresMajor: number): string {
  const width = postgresMajor >= FULL_XIDS_SINCE_MAJOR ? 16 : 8;
  return `pg_twophase/${xid.toString(16).toUpperCase().padStart(width, '0')}`;
}

export function encodeTwoPhaseFile(state: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(state.length + CRC_BYTES);
  bytes.set(state);
  new DataView(bytes.buffer).setUint32(state.length, crc32c(state), true);
  return bytes;
}

/** The state in a file; a view of `bytes`. Throws `POSTGRES_CHECKSUM`, which names the path. */
export function decodeTwoPhaseFile(path: string, bytes: Uint8Array): Uint8Array {
  const state = bytes.subarray(0, Math.max(0, bytes.length - CRC_BYTES));
  const crc = new DataView(bytes.buffer, bytes.byteOffset + state.length, bytes.length - state.length);
  if (crc.byteLength === CRC_BYTES && crc.getUint32(0, true) === crc32c(state)) return state;
  throw new PostgresFormatError({
    code: 'POSTGRES_CHECKSUM',
    operation: 'decode two-phase file',
    message: `${path} does not end with the CRC of its contents; the prepared transaction's state is damaged`,
    context: { path },
  });
}

/**
 * `pg_logical/replorigin_checkpoint` (origin.c): u32 magic, then per origin u16 id, 6 bytes of padding and u64 remote LSN, then
 * the CRC-32C of everything before; little endian.
 */
import { crc32c } from './crc32c.ts';
import { type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

/** `REPLICATION_STATE_MAGIC` of origin.c. */
const MAGIC = 0x1257dade;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 16;
const CRC_BYTES = 4;
const ENTRIES_MAX = 65536;

export const REPLICATION_ORIGINS_PATH = 'pg_logical/replorigin_checkpoint';

export interface ReplicationOrigin {
  /** 1 to 65535. */
  readonly id: number;
  readonly remoteLsn: Lsn;
}

export function encodeReplicationOrigins(origins: readonly ReplicationOrigin[]): Uint8Array {
  const crcOffset = HEADER_BYTES + origins.length * ENTRY_BYTES;
  const bytes = new Uint8Array(crcOffset + CRC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  for (const [index, { id, remoteLsn }] of origins.entries()) {
    view.setUint16(HEADER_BYTES + index * ENTRY_BYTES, id, true);
    view.setBigUint64(HEADER_BYTES + index * ENTRY_BYTES + 8, remoteLsn, true);
  }
  view.setUint32(crcOffset, crc32c(bytes.subarray(0, crcOffset)), true);
  return bytes;
}

/** Throws `POSTGRES_INVALID` for a wrong length or magic and `POSTGRES_CHECKSUM` for a wrong CRC. */
export function decodeReplicationOrigins(bytes: Uint8Array): readonly ReplicationOrigin[] {
  const count = (bytes.length - HEADER_BYTES - CRC_BYTES) / ENTRY_BYTES;
  if (!Number.isInteger(count) || count < 0 || count > ENTRIES_MAX) {
    throw invalid('POSTGRES_INVALID', `has ${bytes.length} bytes, which is no whole number of origins`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = view.getUint32(0, true);
  if (magic !== MAGIC)
    throw invalid('POSTGRES_INVALID', `has magic ${magic.toString(16)}, expected ${MAGIC.toString(16)}`);
  const crcOffset = bytes.length - CRC_BYTES;
  const expected = crc32c(bytes.subarray(0, crcOffset));
  const found = view.getUint32(crcOffset, true);
  if (found !== expected) {
    throw invalid('POSTGRES_CHECKSUM', `has CRC ${found.toString(16)}, expected ${expected.toString(16)}`);
  }
  return Array.from({ length: count }, (_, index) => ({
    id: view.getUint16(HEADER_BYTES + index * ENTRY_BYTES, true),
    remoteLsn: lsn(view.getBigUint64(HEADER_BYTES + index * ENTRY_BYTES + 8, true)),
  }));
}

function invalid(code: 'POSTGRES_INVALID' | 'POSTGRES_CHECKSUM', what: string): PostgresFormatError {
  return new PostgresFormatError({
    code,
    operation: 'decode replication origins',
    message: `${REPLICATION_ORIGINS_PATH} ${what}`,
  });
}

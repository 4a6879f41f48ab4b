import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { BeReader, BeWriter } from './bytes.ts';

/** Value of a relation size or SLRU segment size key: the number of blocks, 4 bytes **little** endian. */
export function encodeSizeValue(blockCount: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, blockCount, true);
  return bytes;
}

/** Throws `NEON_LAYER_INVALID_VALUE` unless there are exactly 4 bytes. */
export function decodeSizeValue(bytes: Uint8Array): number {
  if (bytes.length !== 4) new BeReader(bytes, 'A relation or segment size').fail('expected 4 bytes');
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

/** Value of a replication origin: its remote LSN, 8 bytes big endian; 0 means dropped. */
export function encodeReplOriginValue(remoteLsn: Lsn): Uint8Array {
  return new BeWriter().u64(remoteLsn).finish();
}

/** The remote LSN, or undefined where the origin was dropped (0, or an empty value). */
export function decodeReplOriginValue(bytes: Uint8Array): Lsn | undefined {
  if (bytes.length === 0) return undefined;
  const reader = new BeReader(bytes, 'A replication origin');
  const value = reader.u64();
  reader.end();
  return value === 0n ? undefined : lsn(value);
}

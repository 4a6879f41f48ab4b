import { expect, test } from 'vitest';
import { lsn } from './lsn.ts';
import { isPostgresFormatError } from './postgres-format-error.ts';
import { decodeReplicationOrigins, encodeReplicationOrigins } from './replication-origins.ts';

/** One origin, id 7 at 0/14AEC08: computed by hand from origin.c's structures. */
const GOLDEN = 'deda5712070000000000000008ec4a01000000004724c3bc';

test('one origin has the bytes that Postgres writes', () => {
  const bytes = encodeReplicationOrigins([{ id: 7, remoteLsn: lsn(0x14aec08n) }]);
  expect(Buffer.from(bytes).toString('hex')).toBe(GOLDEN);
  expect(decodeReplicationOrigins(bytes)).toEqual([{ id: 7, remoteLsn: 0x14aec08n }]);
});

test('no origin at all round-trips', () => {
  expect(decodeReplicationOrigins(encodeReplicationOrigins([]))).toEqual([]);
});

test('truncation anywhere and any flipped bit is refused', () => {
  const golden = Buffer.from(GOLDEN, 'hex');
  for (let length = 0; length < golden.length; length += 1) {
    expect(isRefused(golden.subarray(0, length)), `${length} bytes`).toBe(true);
  }
  for (let bit = 0; bit < golden.length * 8; bit += 1) {
    const flipped = Buffer.from(golden);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(isRefused(flipped), `bit ${bit}`).toBe(true);
  }
});

function isRefused(bytes: Uint8Array): boolean {
  try {
    decodeReplicationOrigins(bytes);
    return false;
  } catch (error) {
    return isPostgresFormatError(error);
  }
}

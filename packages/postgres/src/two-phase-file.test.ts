import { expect, test } from 'vitest';
import { isPostgresFormatError } from './postgres-format-error.ts';
import { decodeTwoPhaseFile, encodeTwoPhaseFile, formatTwoPhasePath } from './two-phase-file.ts';

/** The check value of CRC-32C behind the text that it is of. */
const GOLDEN = `${Buffer.from('123456789').toString('hex')}839206e3`;

test('the file has the state and its CRC', () => {
  const file = encodeTwoPhaseFile(Buffer.from('123456789'));
  expect(Buffer.from(file).toString('hex')).toBe(GOLDEN);
  expect(Buffer.from(decodeTwoPhaseFile('pg_twophase/000002E1', file)).toString()).toBe('123456789');
});

test('truncation anywhere and any flipped bit is refused by the name of the file', () => {
  const golden = Buffer.from(GOLDEN, 'hex');
  const damaged = Array.from({ length: golden.length }, (_, length) => golden.subarray(0, length));
  for (let bit = 0; bit < golden.length * 8; bit += 1) {
    const flipped = Buffer.from(golden);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    damaged.push(flipped);
  }
  for (const bytes of damaged) expect(faultOf(bytes)).toBe('POSTGRES_CHECKSUM pg_twophase/000002E1');
});

test('paths have full transaction ids from Postgres 17 on', () => {
  expect(formatTwoPhasePath(0x2e1n, 16)).toBe('pg_twophase/000002E1');
  expect(formatTwoPhasePath(0x1_0000_02e1n, 17)).toBe('pg_twophase/00000001000002E1');
});

function faultOf(bytes: Uint8Array): string | undefined {
  try {
    decodeTwoPhaseFile('pg_twophase/000002E1', bytes);
    return undefined;
  } catch (error) {
    return isPostgresFormatError(error) ? `${error.code} ${error.context.path}` : String(error);
  }
}

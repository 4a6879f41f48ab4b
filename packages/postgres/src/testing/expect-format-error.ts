import { expect } from 'vitest';
import { isPostgresFormatError, type PostgresFormatErrorCode } from '../postgres-format-error.ts';

/** Runs `action` and asserts that it throws a PostgresFormatError, of one of `codes` where they are given. */
export function expectFormatError(action: () => unknown, ...codes: PostgresFormatErrorCode[]): void {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  if (!isPostgresFormatError(thrown)) expect.fail(`expected a PostgresFormatError, got ${String(thrown)}`);
  if (codes.length > 0) expect(codes).toContain(thrown.code);
}

/** A copy with one bit flipped. */
export function withFlippedBit(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

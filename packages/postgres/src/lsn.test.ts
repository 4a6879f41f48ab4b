import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignLsn, formatLsn, formatLsnHex, lsn, parseLsn } from './lsn.ts';
import { expectFormatError } from './testing/expect-format-error.ts';

const anyLsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }).map(lsn);

describe('LSN', () => {
  it('is printed as pg_lsn prints it', () => {
    expect(formatLsn(lsn(0x16b3748n))).toBe('0/16B3748');
    expect(formatLsn(lsn(0xff_0000_0001n))).toBe('FF/1');
    expect(formatLsnHex(lsn(0x16b3748n))).toBe('00000000016B3748');
  });

  it('survives printing and parsing', () => {
    fc.assert(fc.property(anyLsn, (value) => parseLsn(formatLsn(value)) === value));
  });

  it('is rounded up to a multiple of 8', () => {
    expect([0n, 1n, 8n, 9n].map((value) => alignLsn(lsn(value)))).toEqual([0n, 8n, 8n, 16n]);
  });

  it.each(['', '0', '0/', '/0', '0/123456789', 'x/0', '0/0 ', '-1/0', '0x0/0'])(
    'refuses the text "%s"',
    (text) => {
      expectFormatError(() => parseLsn(text), 'POSTGRES_INVALID');
    },
  );

  it('refuses numbers outside u64', () => {
    expect(() => lsn(-1n)).toThrow(RangeError);
    expect(() => lsn(1n << 64n)).toThrow(RangeError);
  });
});

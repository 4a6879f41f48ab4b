import { describe, expect, it } from 'vitest';
import { formatTable } from './table.ts';
import { formatBytes, formatDuration, parseBytes } from './units.ts';

describe('units', () => {
  it('show bytes in powers of 1024 with three digits', () => {
    expect([0, 1023, 1536, 150 * 1024, 5 * 1024 ** 3].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '150 KiB',
      '5.0 GiB',
    ]);
  });

  it('show durations, never a negative one', () => {
    expect([-5, 7, 61, 3661].map(formatDuration)).toEqual(['0:00', '0:07', '1:01', '1:01:01']);
  });

  it('read back what people write', () => {
    expect(['100M', '1k', '2gb', '1.5 MiB', '7'].map(parseBytes)).toEqual([
      104857600, 1024, 2147483648, 1572864, 7,
    ]);
    expect(['', 'M', '1X', '-1'].map(parseBytes)).toEqual([undefined, undefined, undefined, undefined]);
  });
});

describe('a table', () => {
  it('has aligned columns and no trailing blanks', () => {
    expect(
      formatTable(
        ['A', 'LONG'],
        [
          ['abc', ''],
          ['d', 'e'],
        ],
      ),
    ).toEqual(['A    LONG', 'abc', 'd    e']);
  });
});

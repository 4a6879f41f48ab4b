import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSlruPath, parseSlruPath, type SlruKind } from './slru-path.ts';
import { expectFormatError } from './testing/expect-format-error.ts';

describe('SLRU path', () => {
  it.each([
    ['pg_xact/0000', { kind: 'clog', segno: 0 }],
    ['pg_xact/0FFF', { kind: 'clog', segno: 0xfff }],
    ['pg_multixact/members/14078', { kind: 'multixact_members', segno: 0x14078 }],
    ['pg_multixact/offsets/001A', { kind: 'multixact_offsets', segno: 0x1a }],
  ])('%s names a segment', (path, expected) => {
    expect(parseSlruPath(path)).toEqual(expected);
  });

  it.each([
    'pg_xact/000',
    'pg_xact/00000',
    'pg_xact/000a',
    'pg_xact',
    'pg_commit_ts/0000',
    'pg_xact/1234567',
    '0000',
  ])('%s names none', (path) => {
    expect(parseSlruPath(path)).toBeUndefined();
  });

  it('survives printing and parsing', () => {
    const kinds = fc.constantFrom<SlruKind>('clog', 'multixact_members', 'multixact_offsets');
    fc.assert(
      fc.property(kinds, fc.nat(0xff_ffff), (kind, segno) => {
        expect(parseSlruPath(formatSlruPath(kind, segno))).toEqual({ kind, segno });
      }),
    );
  });

  it('of an impossible segment is refused', () => {
    expectFormatError(() => formatSlruPath('clog', -1), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => formatSlruPath('clog', 0x100_0000), 'POSTGRES_OUT_OF_RANGE');
  });
});

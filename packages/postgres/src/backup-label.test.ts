import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBackupLabel, encodeBackupLabel } from './backup-label.ts';
import { lsn } from './lsn.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import { FIXTURES, fixtureOf } from './testing/fixtures.ts';

const encode = (text: string) => new TextEncoder().encode(text);

describe('backup_label', () => {
  it.each(FIXTURES)('of major $major gives the same bytes when decoded and encoded', ({ label }) => {
    const decoded = decodeBackupLabel(encode(label));
    expect(decoded).toMatchObject({
      backupMethod: 'streamed',
      backupFrom: 'primary',
      label: 'fixture label',
      startTimeLineId: 1,
    });
    expect(encodeBackupLabel(decoded)).toEqual(encode(label));
  });

  it('of an incremental backup names the backup that it builds on', () => {
    const text = `${fixtureOf(17).label}INCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 1\n`;
    const decoded = decodeBackupLabel(encode(text));
    expect(decoded.incrementalFrom).toEqual({ lsn: 0x2000028n, timeLineId: 1 });
    expect(encodeBackupLabel(decoded)).toEqual(encode(text));
  });

  it('survives encoding and decoding with any label', () => {
    const base = decodeBackupLabel(encode(fixtureOf(15).label));
    const label = fc.string({ unit: 'grapheme', maxLength: 100 }).filter((text) => !/[\r\n]/.test(text));
    fc.assert(
      fc.property(label, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (text, position) => {
        const changed = { ...base, label: text, startWalLocation: lsn(position) };
        expect(decodeBackupLabel(encodeBackupLabel(changed))).toEqual(changed);
      }),
    );
  });

  it('is refused when cut at any byte', () => {
    const bytes = encode(fixtureOf(18).label);
    for (let size = 0; size < bytes.length; size++) {
      expectFormatError(
        () => decodeBackupLabel(bytes.subarray(0, size)),
        'POSTGRES_INVALID',
        'POSTGRES_TRUNCATED',
      );
    }
  });

  it.each([
    [/START WAL LOCATION/, 'START WAL LOCATION '],
    [/\(file 0/, '(file x'],
    [/CHECKPOINT LOCATION/, 'CHECKPOINT  LOCATION'],
    [/START TIMELINE: 1/, 'START TIMELINE: 2'],
    [/START TIMELINE: 1/, 'START TIMELINE: 0'],
    [/LABEL: /, 'LABEL'],
    [/START TIME: .*/, 'LABEL: twice'],
  ])('with %s replaced by "%s" is refused', (pattern, replacement) => {
    const text = fixtureOf(17).label.replace(pattern, replacement);
    expectFormatError(() => decodeBackupLabel(encode(text)), 'POSTGRES_INVALID');
  });

  it('with a value that breaks its lines is not written', () => {
    const base = decodeBackupLabel(encode(fixtureOf(15).label));
    expectFormatError(() => encodeBackupLabel({ ...base, label: 'a\nb' }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => encodeBackupLabel({ ...base, label: 'é'.repeat(513) }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => encodeBackupLabel({ ...base, startWalFileName: 'x' }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => decodeBackupLabel(new Uint8Array(64 * 1024 + 1)), 'POSTGRES_OUT_OF_RANGE');
  });
});

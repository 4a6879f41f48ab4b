import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLsn } from './lsn.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import {
  assertWalSegmentSize,
  parseWalSegmentFileName,
  WAL_SEGMENT_SIZE_DEFAULT,
  walSegmentFileName,
  walSegmentNumber,
  walSegmentStart,
} from './wal-segment-name.ts';

const MIB = 1024 * 1024;

describe('WAL segment name', () => {
  it.each([
    ['0/2000028', 1, 16 * MIB, '000000010000000000000002'],
    ['1/0', 2, 16 * MIB, '000000020000000100000000'],
    ['0/FFFFFFFF', 1, 16 * MIB, '0000000100000000000000FF'],
    ['0/FFFFFFFF', 10, MIB, '0000000A0000000000000FFF'],
    ['FFFFFFFF/FFFFFFFF', 1, 1024 * MIB, '00000001FFFFFFFF00000003'],
  ])('of %s on timeline %i with segments of %i bytes is %4$s', (position, timeLineId, segmentSize, name) => {
    const segno = walSegmentNumber(parseLsn(position), segmentSize);
    expect(walSegmentFileName(timeLineId, segno, segmentSize)).toBe(name);
    expect(parseWalSegmentFileName(name, segmentSize)).toEqual({ timeLineId, segno });
    expect(walSegmentStart(segno, segmentSize) <= parseLsn(position)).toBe(true);
  });

  it('survives printing and parsing at every segment size', () => {
    const size = fc.integer({ min: 20, max: 30 }).map((exponent) => 2 ** exponent);
    fc.assert(
      fc.property(size, fc.nat(0xffff_ffff), fc.nat(2 ** 34 - 1), (segmentSize, timeLineId, segno) => {
        const name = walSegmentFileName(timeLineId, segno, segmentSize);
        expect(parseWalSegmentFileName(name, segmentSize)).toEqual({ timeLineId, segno });
      }),
    );
  });

  it.each([
    '00000002.history',
    '000000010000000000000100',
    '00000001000000000000000a',
    '',
    '000000010000000000000001.partial',
  ])('"%s" is none', (name) => {
    expect(parseWalSegmentFileName(name, WAL_SEGMENT_SIZE_DEFAULT)).toBeUndefined();
  });

  it.each([0, 1, MIB / 2, 3 * MIB, 2048 * MIB, Number.NaN])(
    'with segments of %d bytes is refused',
    (size) => {
      expectFormatError(() => assertWalSegmentSize(size), 'POSTGRES_OUT_OF_RANGE');
    },
  );

  it('of an impossible timeline or number is refused', () => {
    expectFormatError(() => walSegmentFileName(2 ** 32, 0, MIB), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => walSegmentFileName(1, -1, MIB), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => walSegmentFileName(1, 2 ** 44, MIB), 'POSTGRES_OUT_OF_RANGE');
  });
});

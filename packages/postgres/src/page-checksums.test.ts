import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLCKSZ, decodePageHeader } from './page.ts';
import { pageChecksum } from './page-checksum.ts';
import { createPageChecksums, PAGE_CHECKSUMS_PAGES_MAX } from './page-checksums.ts';
import { expectFormatError, withFlippedBit } from './testing/expect-format-error.ts';
import { FIXTURES, fixtureOf } from './testing/fixtures.ts';

const anyPage = fc.uint8Array({ minLength: BLCKSZ, maxLength: BLCKSZ, size: 'max' });
const anyBlock = fc.nat(0xffff_fffe);

describe('page checksums', () => {
  it('equal those that five majors stored and those that pageinspect computes', () => {
    for (const { pages } of FIXTURES) {
      for (const { bytes, block, checksum } of pages) {
        expect(pageChecksum(bytes, block)).toBe(checksum & 0xffff);
        const checksums = createPageChecksums({ pagesMax: 1 });
        checksums.buffer.set(bytes);
        expect(checksums.checksumAt(0, block)).toBe(checksum & 0xffff);
        expect(checksums.verify(1, block)).toEqual([]);
        expect(checksums.verify(1, block + 1)).toEqual([0]);
      }
    }
  });

  it('are the same from WebAssembly and from plain JavaScript', () => {
    const checksums = createPageChecksums({ pagesMax: 3 });
    fc.assert(
      fc.property(anyPage, anyBlock, fc.nat(2), (page, block, index) => {
        checksums.buffer.set(page, index * BLCKSZ);
        expect(checksums.checksumAt(index, block)).toBe(pageChecksum(page, block));
      }),
      { numRuns: 30 },
    );
  });

  it('do not depend on the stored checksum, and on every other bit', () => {
    const [fixture] = fixtureOf(17).pages;
    const { bytes } = fixture ?? { bytes: new Uint8Array(BLCKSZ) };
    const checksums = createPageChecksums({ pagesMax: 1 });
    const expected = pageChecksum(bytes, 0);
    for (let bit = 0; bit < BLCKSZ * 8; bit += bit < 400 ? 1 : 97) {
      checksums.buffer.set(withFlippedBit(bytes, bit));
      const isChecksumBit = bit >= 64 && bit < 80;
      expect(checksums.checksumAt(0, 0) === expected).toBe(isChecksumBit);
    }
  });

  it('are stamped into all pages but new ones', () => {
    const checksums = createPageChecksums({ pagesMax: 3 });
    const { buffer } = checksums;
    buffer.fill(7);
    buffer.fill(0, BLCKSZ, 2 * BLCKSZ);
    expect(checksums.verify(3, 131072)).toEqual([0, 2]);
    checksums.stamp(3, 131072);
    expect(checksums.verify(3, 131072)).toEqual([]);
    expect(decodePageHeader(buffer.subarray(2 * BLCKSZ)).checksum).toBe(checksums.checksumAt(2, 131074));
    expect(buffer.subarray(BLCKSZ, 2 * BLCKSZ).every((byte) => byte === 0)).toBe(true);
  });

  it('find a new page that is not all zeros, wherever its bit is', () => {
    const checksums = createPageChecksums({ pagesMax: 1 });
    for (const offset of [0, 8, 13, 16, 4096, BLCKSZ - 1]) {
      checksums.buffer.fill(0);
      checksums.buffer[offset] = 1;
      expect(checksums.verify(1, 0)).toEqual([0]);
    }
  });

  it('of no pages are fine', () => {
    const checksums = createPageChecksums({ pagesMax: 1 });
    checksums.stamp(0, 0);
    expect(checksums.verify(0, 0)).toEqual([]);
  });

  it('outside the buffer or of an impossible block are refused', () => {
    const checksums = createPageChecksums({ pagesMax: 2 });
    expectFormatError(() => checksums.verify(3, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => checksums.stamp(-1, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => checksums.checksumAt(2, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => checksums.checksumAt(-1, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => checksums.verify(1, -1), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => checksums.verify(1, 0xffff_ffff), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => createPageChecksums({ pagesMax: 0 }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(
      () => createPageChecksums({ pagesMax: PAGE_CHECKSUMS_PAGES_MAX + 1 }),
      'POSTGRES_OUT_OF_RANGE',
    );
    expectFormatError(() => pageChecksum(new Uint8Array(BLCKSZ - 1), 0), 'POSTGRES_TRUNCATED');
  });
});

import { describe, expect, it } from 'vitest';
import { formatLsn } from './lsn.ts';
import {
  BLCKSZ,
  decodePageHeader,
  findPageHeaderFault,
  isNewPage,
  isZeroPage,
  PAGE_HEADER_SIZE,
} from './page.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import { FIXTURES, fixtureOf } from './testing/fixtures.ts';

describe.each(FIXTURES)('page of major $major', ({ pages }) => {
  it.each(pages)(
    'has the header that pageinspect reads: $relation $fork $block',
    ({ bytes, header, checksum }) => {
      const page = decodePageHeader(bytes);
      expect({
        lsn: formatLsn(page.lsn),
        checksum: asSmallint(page.checksum),
        flags: page.flags,
        lower: page.lower,
        upper: page.upper,
        special: page.special,
        pagesize: page.sizeBytes,
        version: page.layoutVersion,
        prune_xid: String(page.pruneXid),
      }).toEqual(header);
      expect(asSmallint(page.checksum)).toBe(checksum);
      expect(findPageHeaderFault(bytes)).toBeUndefined();
      expect([isNewPage(bytes), isZeroPage(bytes)]).toEqual([false, false]);
    },
  );
});

describe('page header', () => {
  const [{ bytes } = { bytes: new Uint8Array() }] = fixtureOf(17).pages;

  it.each([
    ['pd_flags 0x8 has unknown bits', 10, 0x8],
    ['pd_lower 65535 is past pd_upper', 12, 0xffff],
    ['is past pd_special 0', 16, 0],
    ['pd_special 8200 is not a multiple of 8 up to 8192', 16, 8200],
    ['pd_upper is 0 but the page is not all zeros', 14, 0],
  ])('has a fault: %s', (message, offset, value) => {
    const page = bytes.slice();
    new DataView(page.buffer).setUint16(offset, value, true);
    expect(findPageHeaderFault(page)).toContain(message);
  });

  it('of a page of zeros is new and faultless', () => {
    const page = new Uint8Array(BLCKSZ);
    expect([isNewPage(page), isZeroPage(page), findPageHeaderFault(page)]).toEqual([true, true, undefined]);
  });

  it('is refused when cut at any byte', () => {
    for (let size = 0; size < PAGE_HEADER_SIZE; size++) {
      expectFormatError(() => decodePageHeader(bytes.subarray(0, size)), 'POSTGRES_TRUNCATED');
    }
  });
});

/** pageinspect prints u16 as int2. */
function asSmallint(value: number): number {
  return (value << 16) >> 16;
}

import { describe, expect, it } from 'vitest';
import {
  assertPostgresMajor,
  catalogVersionOf,
  majorOfCatalogVersion,
  majorOfWalPageMagic,
  SUPPORTED_MAJORS,
  tablespaceVersionDirectory,
  WAL_PAGE_MAGIC,
} from './postgres-major.ts';
import { expectFormatError } from './testing/expect-format-error.ts';

describe('Postgres major', () => {
  it('is found from its catalog version and from its WAL pages', () => {
    for (const major of SUPPORTED_MAJORS) {
      expect(majorOfCatalogVersion(catalogVersionOf(major))).toBe(major);
      expect(majorOfWalPageMagic(WAL_PAGE_MAGIC[major])).toBe(major);
    }
  });

  it('names its directory in a tablespace', () => {
    expect(tablespaceVersionDirectory(17)).toBe('PG_17_202406281');
  });

  it('that is unknown is refused with the supported ones named', () => {
    expect(() => assertPostgresMajor(13)).toThrow(
      /13 is not supported; .*14 \(202107181\).*18 \(202506291\)/,
    );
    expectFormatError(() => majorOfCatalogVersion(202605131), 'POSTGRES_UNSUPPORTED_VERSION');
    expect(majorOfWalPageMagic(0xd121)).toBeUndefined();
  });
});

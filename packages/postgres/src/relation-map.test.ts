import { describe, expect, it } from 'vitest';
import { decodeRelationMap, relationMapCrcOffset } from './relation-map.ts';
import { expectFormatError, withFlippedBit } from './testing/expect-format-error.ts';
import { FIXTURES } from './testing/fixtures.ts';

describe.each(FIXTURES)('pg_filenode.map of major $major', ({ major, relationMap, relationMapEntries }) => {
  it('maps the shared catalogs to the files that the server names', () => {
    const entries = [...decodeRelationMap(relationMap, major)].sort((a, b) => a.oid - b.oid);
    expect(entries).toEqual(relationMapEntries);
  });

  it('is refused when cut at any byte', () => {
    for (let size = 0; size < relationMap.length; size++) {
      expectFormatError(() => decodeRelationMap(relationMap.subarray(0, size), major), 'POSTGRES_TRUNCATED');
    }
  });

  it('is refused with any one bit flipped', () => {
    for (let bit = 0; bit < (relationMapCrcOffset(major) + 4) * 8; bit++) {
      const damaged = withFlippedBit(relationMap, bit);
      expectFormatError(() => decodeRelationMap(damaged, major), 'POSTGRES_CHECKSUM', 'POSTGRES_INVALID');
    }
  });
});

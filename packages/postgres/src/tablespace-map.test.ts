import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeTablespaceMap, encodeTablespaceMap } from './tablespace-map.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import { FIXTURES } from './testing/fixtures.ts';

const encode = (text: string) => new TextEncoder().encode(text);

describe('tablespace_map', () => {
  it.each(FIXTURES)(
    'of major $major unescapes a path and gives the same bytes again',
    ({ tablespaceMap }) => {
      const entries = decodeTablespaceMap(encode(tablespaceMap));
      const names = entries.map(({ path }) => path.replace(/^.*\//, ''));
      expect(names.sort()).toEqual(['a space\\and backslash', 'plain']);
      expect(encodeTablespaceMap(entries)).toEqual(encode(tablespaceMap));
    },
  );

  it('survives encoding and decoding with line breaks, spaces and backslashes', () => {
    const path = fc.string({ unit: fc.constantFrom('/', 'a', ' ', '\\', '\n', '\r', 'é'), minLength: 1 });
    const entries = fc.array(fc.record({ oid: fc.integer({ min: 1, max: 0xffff_ffff }), path }));
    fc.assert(
      fc.property(entries, (value) => {
        expect(decodeTablespaceMap(encodeTablespaceMap(value))).toEqual(value);
      }),
    );
  });

  it('that is empty has no tablespaces', () => {
    expect(decodeTablespaceMap(new Uint8Array())).toEqual([]);
  });

  it('is refused when cut inside a line', () => {
    const bytes = encode('16400 /a\\\\b\n16401 /c\n');
    for (let size = 1; size < bytes.length; size++) {
      if (size !== 12)
        expectFormatError(() => decodeTablespaceMap(bytes.subarray(0, size)), 'POSTGRES_TRUNCATED');
    }
  });

  it.each(['16400\n', '16400 \n', ' /a\n', '016400 /a\n', '4294967296 /a\n', 'x /a\n', '\n'])(
    'with the line %j is refused',
    (text) => {
      expectFormatError(() => decodeTablespaceMap(encode(text)), 'POSTGRES_INVALID');
    },
  );

  it('with an impossible OID or path is not written', () => {
    expectFormatError(() => encodeTablespaceMap([{ oid: 0, path: '/a' }]), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => encodeTablespaceMap([{ oid: 1.5, path: '/a' }]), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => encodeTablespaceMap([{ oid: 16400, path: '' }]), 'POSTGRES_OUT_OF_RANGE');
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isStorageError } from './storage-error.ts';
import { assertValidKey, compareKeys } from './storage-key.ts';

const validity = (key: string, keyLengthMaxBytes?: number) => {
  try {
    assertValidKey(key, {
      operation: 'get',
      ...(keyLengthMaxBytes === undefined ? {} : { keyLengthMaxBytes }),
    });
    return 'valid';
  } catch (error) {
    return isStorageError(error, 'STORAGE_INVALID_KEY') ? error.message : error;
  }
};

describe('keys', () => {
  test.each(['a', 'a/b', 'dir/', 'a/b/', '...', '.a', 'a..b', 'ü/😀', ' ', 'a b', 'a\\b'])(
    '%j is one',
    (key) => {
      expect(validity(key)).toBe('valid');
    },
  );

  test.each([
    '',
    '/',
    '//',
    '/a',
    'a//',
    'a//b',
    '.',
    '..',
    './',
    'a/..',
    '../a',
    'a/./b',
    '\0',
    'a\nb',
    '\x7f',
    '\udc00',
  ])('%j is none', (key) => {
    expect(validity(key)).toContain('is not a valid key');
  });

  test('their length is counted in bytes', () => {
    expect(validity('éé', 4)).toBe('valid');
    expect(validity('éé', 3)).toContain('4 bytes, at most 3');
  });

  test('are ordered as their UTF-8 bytes are', () => {
    const bytes = (text: string) => Buffer.from(text);
    const text = fc.string({ unit: 'binary', maxLength: 6 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Math.sign(Buffer.compare(bytes(a), bytes(b))));
      }),
    );
    expect(compareKeys('\uffff', '😀')).toBeLessThan(0);
    expect('\uffff' < '😀').toBe(false);
  });
});

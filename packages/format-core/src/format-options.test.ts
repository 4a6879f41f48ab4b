import { expect, test } from 'vitest';
import { assertKnownOptions, booleanOption, listOption, stringOption } from './format-options.ts';

const wrong = expect.objectContaining({ code: 'FORMAT_OPTION' });

test('options are read by type, with a default where they are missing', () => {
  expect(booleanOption({ a: false }, 'a', { fallback: true })).toBe(false);
  expect(booleanOption({}, 'a', { fallback: true })).toBe(true);
  expect(stringOption({ a: 'x' }, 'a')).toBe('x');
  expect(stringOption({}, 'a')).toBeUndefined();
  expect(listOption({ a: ['x', 'y'] }, 'a')).toEqual(['x', 'y']);
  expect(listOption({ a: 'x' }, 'a')).toEqual(['x']);
  expect(listOption({}, 'a')).toEqual([]);
});

test('a value of another type is FORMAT_OPTION', () => {
  expect(() => booleanOption({ a: 'yes' }, 'a', { fallback: true })).toThrow(wrong);
  expect(() => stringOption({ a: true }, 'a')).toThrow(wrong);
  expect(() => listOption({ a: true }, 'a')).toThrow(wrong);
});

test('an option that the format does not describe is refused, naming the ones it does', () => {
  const known = [{ name: 'recover', type: 'boolean', description: '' }] as const;
  expect(() => assertKnownOptions({ recover: true, other: undefined }, known)).not.toThrow();
  expect(() => assertKnownOptions({ recovr: true }, known)).toThrow(/unknown option recovr.*recover/);
});

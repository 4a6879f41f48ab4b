import { expect, test } from 'vitest';
import { formatCommitTime, parseCommitTime } from './commit-time.ts';

test.each([
  ['2000-01-01T00:00:00Z', 0n],
  ['2000-01-01T00:00Z', 0n],
  ['2000-01-01 01:00:00.5+01', 500_000n],
  ['1999-12-31T19:30:00.000001-05:30', 3_600_000_001n],
  ['1999-12-31T23:59:59.999999Z', -1n],
  ['2026-11-22T09:00:55.443174Z', 848_653_255_443_174n],
])('%s is %s µs', (text, micros) => {
  expect(parseCommitTime(text)).toBe(micros);
  expect(parseCommitTime(formatCommitTime(micros))).toBe(micros);
});

test.each([
  '',
  'now',
  '2026-11-22',
  '2026-11-22T09:00:55',
  '2026-13-22T09:00:55Z',
  '2026-11-22T09:00:55.1234567Z',
])('%j is no time with its zone', (text) => {
  expect(parseCommitTime(text)).toBeUndefined();
});

test('times print with microseconds in UTC', () => {
  expect(formatCommitTime(848_653_255_443_174n)).toBe('2026-11-22T09:00:55.443174Z');
  expect(formatCommitTime(-1n)).toBe('1999-12-31T23:59:59.999999Z');
});

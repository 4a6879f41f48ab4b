import { StorageError, type StorageErrorOptions } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import { retryDelayMs } from './retry.ts';

const config = { retriesMax: 10, throttleDelayMinMs: 500, throttleDelayMaxMs: 20_000 };
const failure = (options: Partial<StorageErrorOptions> = {}) =>
  new StorageError({
    code: 'STORAGE_UNAVAILABLE',
    operation: 'get',
    message: 'm',
    retryable: true,
    ...options,
  });
const delays = (error: StorageError, random = 1, hasAnswered = true) =>
  Array.from({ length: 11 }, (_, index) =>
    retryDelayMs(error, config, { repeat: index + 1, hasAnswered, random: () => random }),
  );

test('Waits double up to ten seconds, with full jitter, and end', () => {
  expect(delays(failure())).toEqual([
    100,
    200,
    400,
    800,
    1600,
    3200,
    6400,
    10_000,
    10_000,
    10_000,
    undefined,
  ]);
  expect(delays(failure(), 0)[5]).toBe(0);
});

test('A throttled request waits longer, and never less than Retry-After', () => {
  const throttled = failure({ code: 'STORAGE_THROTTLED', context: { retryAfterSeconds: 3 } });
  expect(delays(throttled).slice(0, 3)).toEqual([3500, 4000, 5000]);
  expect(delays(throttled, 0)[0]).toBe(3000);
  const hostile = failure({ code: 'STORAGE_THROTTLED', context: { retryAfterSeconds: 1e9 } });
  expect(delays(hostile, 0)[0]).toBe(60_000);
});

test('What can not succeed is not tried again', () => {
  expect(delays(failure({ retryable: false }))[0]).toBeUndefined();
});

test('An endpoint that never answered is given up early, one that did is waited for', () => {
  const unreachable = failure({ context: { unreachable: true } });
  expect(delays(unreachable, 1, false).indexOf(undefined)).toBe(2);
  expect(delays(unreachable, 1, true).indexOf(undefined)).toBe(10);
  const silent = failure({ code: 'STORAGE_TIMEOUT' });
  expect(delays(silent, 1, false)[0]).toBeUndefined();
  expect(delays(silent, 1, true)[0]).toBe(100);
});

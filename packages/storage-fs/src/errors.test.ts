import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { translateError } from './errors.ts';

describe('errors of a file storage', () => {
  test.runIf(process.platform === 'linux')('a full disk is STORAGE_NO_SPACE', async () => {
    const full = await writeFile('/dev/full', 'x').catch((error: unknown) => error);
    const error = await translateError(full, { operation: 'put', path: '/dev/full', key: 'full' });
    expect(error).toMatchObject({ code: 'STORAGE_NO_SPACE', key: 'full', retryable: false });
  });

  test('what is no system error passes unchanged', async () => {
    const own = new TypeError('a bug of ours');
    expect(await translateError(own, { operation: 'put', path: '/x' })).toBe(own);
  });
});

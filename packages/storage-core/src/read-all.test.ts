import { expect, test } from 'vitest';
import { readAll } from './read-all.ts';

async function* chunks(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield new Uint8Array(size).fill(size);
}

test('a body is read whole up to its limit', async () => {
  expect(await readAll(chunks(1, 2), { sizeMaxBytes: 3 })).toEqual(new Uint8Array([1, 2, 2]));
  expect(await readAll(chunks(), { sizeMaxBytes: 0 })).toEqual(new Uint8Array(0));
});

test('a longer body is STORAGE_TOO_LARGE, and its source is told to stop', async () => {
  let ended = false;
  const endless = async function* () {
    try {
      for (;;) yield new Uint8Array(10);
    } finally {
      ended = true;
    }
  };
  await expect(readAll(endless(), { sizeMaxBytes: 25, key: 'k' })).rejects.toMatchObject({
    code: 'STORAGE_TOO_LARGE',
    key: 'k',
  });
  expect(ended).toBe(true);
});

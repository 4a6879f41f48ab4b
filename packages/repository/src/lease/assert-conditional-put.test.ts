import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { assertConditionalPut } from './assert-conditional-put.ts';

const directory = `neon-snapshot/${'a'.repeat(32)}`;

/** As some stores that speak S3: takes conditions and ignores them. */
function ignoring(storage: Storage, condition: 'ifMatch' | 'ifNoneMatch'): Storage {
  return new Proxy(storage, {
    get(target, name) {
      if (name === 'put')
        return (key: string, body: Uint8Array, options: object) =>
          target.put(key, body, { ...options, [condition]: undefined });
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('conditional put', () => {
  test('that works is found to, and nothing stays', async () => {
    const storage = createMemoryStorage();
    await assertConditionalPut({ storage, directory });
    const pages = await Array.fromAsync(storage.list());
    expect(pages.flatMap((page) => page.objects)).toEqual([]);
  });

  test.each([
    {
      name: 'not offered',
      storage: createMemoryStorage({ capability: { conditionalPut: { ifNoneMatch: true, ifMatch: false } } }),
    },
    { name: 'ignored when it must not exist', storage: ignoring(createMemoryStorage(), 'ifNoneMatch') },
    { name: 'ignored when it must be unchanged', storage: ignoring(createMemoryStorage(), 'ifMatch') },
  ])('that is $name is refused', async ({ storage }) => {
    await expect(assertConditionalPut({ storage, directory })).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_UNSUPPORTED',
      message: expect.stringContaining('--unsafe_no_lease'),
    });
  });
});

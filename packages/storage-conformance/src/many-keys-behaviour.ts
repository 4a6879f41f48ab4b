import { compareKeys, type ListPage } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import { type KitTest, listKeys, listPrefixes, putAll, readObject } from './kit-helpers.ts';

const PUTS_AT_ONCE = 32;

/** As many keys as cross every page: whole, in order, once each, from anywhere on; and all gone after one delete. */
export function describeManyKeys(kitTest: KitTest, keyCount: number): void {
  describe(`${keyCount} keys`, () => {
    kitTest(
      'in one directory and in as many come whole, in order, from any place on, and go by one call',
      async (storage) => {
        const half = Math.ceil(keyCount / 2);
        const keys = Array.from({ length: half }, (_, index) => [`flat/${index}`, `tree/${index}/x`]).flat();
        await putAll(storage, keys, PUTS_AT_ONCE);
        const sorted = [...keys].sort(compareKeys);
        const pages: ListPage[] = [];
        for await (const page of storage.list()) pages.push(page);
        expect(pages.flatMap((page) => page.objects.map((info) => info.key))).toEqual(sorted);
        expect(pages.flatMap((page) => page.prefixes)).toEqual([]);

        const prefixes = await listPrefixes(storage, { prefix: 'tree/', delimiter: '/' });
        expect(new Set(prefixes).size).toBe(half);
        expect(prefixes).toHaveLength(half);
        expect([...prefixes].sort(compareKeys)).toEqual(prefixes);
        expect(await listKeys(storage, { delimiter: '/' })).toEqual([]);
        expect(await listPrefixes(storage, { delimiter: '/' })).toEqual(['flat/', 'tree/']);

        for (const index of [0, 1, half - 1, half, sorted.length - 2, sorted.length - 1]) {
          const startAfter = sorted[index] ?? '';
          expect(await listKeys(storage, { startAfter }), startAfter).toEqual(sorted.slice(index + 1));
        }
        const last = sorted.at(-1) ?? '';
        expect(Buffer.from(await readObject(storage, last)).toString()).toBe(last);

        await storage.delete(sorted.slice(0, -1));
        expect(await listKeys(storage)).toEqual([last]);
      },
      { timeoutFactor: Math.max(1, keyCount / 500) },
    );
  });
}

import { compareKeys } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import { bytesOf, expectStorageError, type KitTest, listKeys, listPrefixes, putAll } from './kit-helpers.ts';

/** `-` and `.` sort before `/`, `0` after it; the last two differ between UTF-8 and UTF-16 order. */
const ORDER_TRAPS = [
  'a',
  'a-b',
  'a.b',
  'b/c',
  'b-d',
  'b/c-d',
  'b0',
  'b.e/f',
  'Z',
  'é',
  'z/\uff5e',
  'z/😀',
  'z/a/b/c',
];

/** Order, prefixes, the delimiter and `startAfter` of listings. */
export function describeLists(kitTest: KitTest): void {
  describe('lists', () => {
    kitTest('an empty location lists nothing', async (storage) => {
      expect(await listKeys(storage)).toEqual([]);
      expect(await listKeys(storage, { prefix: 'no/such/' })).toEqual([]);
    });

    kitTest('keys come in byte order of the whole key', async (storage) => {
      await putAll(storage, ORDER_TRAPS);
      const sorted = [...ORDER_TRAPS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await listKeys(storage)).toEqual(sorted);
    });

    kitTest('objects are listed with their facts', async (storage) => {
      const before = Date.now() - 60_000;
      await storage.put('dir/key', bytesOf('12345'));
      for await (const page of storage.list()) {
        expect(page.objects).toHaveLength(1);
        expect(page.objects[0]).toMatchObject({ key: 'dir/key', sizeBytes: 5 });
        expect(page.objects[0]?.modifiedAt?.getTime() ?? before).toBeGreaterThanOrEqual(before);
        if (page.objects[0]?.etag !== undefined) {
          expect(page.objects[0].etag).toBe((await storage.head('dir/key')).etag);
        }
      }
    });

    kitTest('a prefix selects by text, not by directory', async (storage) => {
      await putAll(storage, ['base/1/a', 'base/10/b', 'base/2', 'bas', 'base', 'basement/x'].slice(0, 3));
      await putAll(storage, ['bas', 'basement/x']);
      expect(await listKeys(storage, { prefix: 'base' })).toEqual([
        'base/1/a',
        'base/10/b',
        'base/2',
        'basement/x',
      ]);
      expect(await listKeys(storage, { prefix: 'base/' })).toEqual(['base/1/a', 'base/10/b', 'base/2']);
      expect(await listKeys(storage, { prefix: 'base/1' })).toEqual(['base/1/a', 'base/10/b']);
      expect(await listKeys(storage, { prefix: 'base/1/a' })).toEqual(['base/1/a']);
      expect(await listKeys(storage, { prefix: 'base/1/a/' })).toEqual([]);
    });

    kitTest('a prefix that no key can have is refused', async (storage) => {
      for (const prefix of ['/', '../', 'a//', 'a/../', './', 'x\0']) {
        await expectStorageError(listKeys(storage, { prefix }), 'STORAGE_INVALID_KEY');
      }
    });

    kitTest('the delimiter folds what is below into prefixes', async (storage) => {
      await putAll(storage, ['a/1', 'a/2', 'a-file', 'b/c/d', 'top']);
      expect(await listKeys(storage, { delimiter: '/' })).toEqual(['a-file', 'top']);
      expect(await listPrefixes(storage, { delimiter: '/' })).toEqual(['a/', 'b/']);
      expect(await listPrefixes(storage, { delimiter: '/', prefix: 'b/' })).toEqual(['b/c/']);
      expect(await listKeys(storage, { delimiter: '/', prefix: 'a/' })).toEqual(['a/1', 'a/2']);
      expect(await listPrefixes(storage, { delimiter: '/', prefix: 'a' })).toEqual(['a/']);
      expect(await listKeys(storage, { delimiter: '/', prefix: 'a' })).toEqual(['a-file']);
    });

    kitTest('startAfter leaves out that key and all before it', async (storage) => {
      await putAll(storage, ORDER_TRAPS);
      const sorted = [...ORDER_TRAPS].sort(compareKeys);
      for (const [index, startAfter] of sorted.entries()) {
        expect(await listKeys(storage, { startAfter })).toEqual(sorted.slice(index + 1));
      }
      expect(await listKeys(storage, { startAfter: 'b/' })).toEqual(
        sorted.filter((key) => compareKeys(key, 'b/') > 0),
      );
      expect(await listKeys(storage, { prefix: 'z/', startAfter: 'z/a' })).toContain('z/a/b/c');
      expect(await listKeys(storage, { prefix: 'a', startAfter: 'z' })).toEqual([]);
    });

    kitTest('startAfter and the delimiter go together', async (storage) => {
      await putAll(storage, ['a/1', 'a/2', 'b/1', 'c']);
      expect(await listPrefixes(storage, { delimiter: '/', startAfter: 'a/1' })).toEqual(['a/', 'b/']);
      expect(await listPrefixes(storage, { delimiter: '/', startAfter: 'a/2' })).toEqual(['b/']);
      expect(await listKeys(storage, { delimiter: '/', startAfter: 'b/1' })).toEqual(['c']);
    });

    kitTest('a listing may be left early', async (storage) => {
      await putAll(storage, ['a', 'b', 'c']);
      for await (const _ of storage.list()) break;
      expect(await listKeys(storage)).toEqual(['a', 'b', 'c']);
    });
  });
}

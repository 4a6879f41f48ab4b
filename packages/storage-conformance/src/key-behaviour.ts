import type { Storage } from '@neon-snapshot/storage-core';
import { compareKeys, isStorageError } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import { bytesOf, expectStorageError, type KitTest, listKeys, putAll, readObject } from './kit-helpers.ts';

const ODD_KEYS = [
  'with space',
  ' leading and trailing ',
  'plus+sign',
  'percent%41',
  'percent%',
  'percent%2Fslash/below',
  'percent%00%0A',
  'hash#and?query=1&x',
  'quote"\'`',
  '<xml>&amp;]]>',
  'ünïcode/日本語',
  // The same letters, composed and not: different keys.
  'caf\u00e9',
  'cafe\u0301',
  'emoji/😀',
  'right\u200fto\u202eleft/\u00a0',
  'back\\slash',
  'semi;colon:at@',
  'star*?/|pipe',
  '$(shell)/%n/{name}',
  '--option',
  '~home',
  '..dots/.hidden/a..b',
  '...',
  'ends in a dot.',
  'UPPER/lower',
  'upper/lower',
  'a=b,c(d)[e]{f}~g!h$i*j',
  '0',
  'null',
];
const NO_KEYS = [
  '',
  '/',
  '/lead',
  'a//b',
  'tail//',
  '../up',
  'a/../b',
  'a/./b',
  '.',
  '..',
  'nul\0',
  'line\n',
  'del\x7f',
  '\ud800',
];
/** One name of a file system has at most this many bytes. */
const SEGMENT_BYTES = 255;

/** Keys: any text that the port allows is kept exactly, what it does not allow is refused. */
export function describeKeys(kitTest: KitTest): void {
  describe('keys', () => {
    for (const key of ODD_KEYS) {
      kitTest(`the key ${JSON.stringify(key)} is kept exactly`, async (storage) => {
        await storage.put(key, bytesOf(key));
        expect(await readObject(storage, key)).toEqual(bytesOf(key));
        expect((await storage.head(key)).key).toBe(key);
        expect(await listKeys(storage)).toEqual([key]);
        expect(await listKeys(storage, { prefix: key })).toEqual([key]);
        await storage.delete([key]);
        expect(await listKeys(storage)).toEqual([]);
      });
    }

    kitTest(
      'odd keys live side by side, are listed in order and from any of them on, copied, and deleted in one call',
      async (storage) => {
        await putAll(storage, ODD_KEYS);
        const sorted = [...ODD_KEYS].sort(compareKeys);
        expect(await listKeys(storage)).toEqual(sorted);
        for (const [index, key] of sorted.entries()) {
          expect(await readObject(storage, key)).toEqual(bytesOf(key));
          expect(await listKeys(storage, { startAfter: key }), key).toEqual(sorted.slice(index + 1));
        }
        await expectCopies(storage);
        await storage.delete(ODD_KEYS);
        expect(await listKeys(storage)).toEqual([]);
      },
    );

    kitTest('a key of exactly the greatest length is kept', async (storage) => {
      const key = longKey(storage.capability.keyLengthMaxBytes);
      await storage.put(key, bytesOf('long'));
      expect(await readObject(storage, key)).toEqual(bytesOf('long'));
      expect(await listKeys(storage)).toEqual([key]);
      await storage.delete([key]);
      expect(await listKeys(storage)).toEqual([]);
    });

    kitTest('a very long name between two slashes is kept, or refused as no key', async (storage) => {
      for (const lengthBytes of [SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 900]) {
        const key = `dir/${'n'.repeat(lengthBytes)}`;
        if (key.length > storage.capability.keyLengthMaxBytes) continue;
        try {
          await storage.put(key, bytesOf('x'));
        } catch (error) {
          expect(isStorageError(error) && error.code, String(error)).toBe('STORAGE_INVALID_KEY');
          expect(lengthBytes, 'a length that every store has to take').toBeGreaterThan(SEGMENT_BYTES);
          continue;
        }
        expect(await readObject(storage, key)).toEqual(bytesOf('x'));
        await storage.delete([key]);
      }
      expect(await listKeys(storage)).toEqual([]);
    });

    kitTest('what is no key is refused before any I/O', async (storage) => {
      const tooLong = 'k'.repeat(storage.capability.keyLengthMaxBytes + 1);
      for (const key of [...NO_KEYS, tooLong]) {
        await expectStorageError(storage.put(key, bytesOf('x')), 'STORAGE_INVALID_KEY');
        await expectStorageError(storage.get(key), 'STORAGE_INVALID_KEY');
        await expectStorageError(storage.head(key), 'STORAGE_INVALID_KEY');
      }
      await expectStorageError(storage.delete(['fine', '../up']), 'STORAGE_INVALID_KEY');
      expect(await listKeys(storage)).toEqual([]);
    });

    kitTest('a directory marker is an empty object whose key ends in a slash', async (storage) => {
      await storage.put('dir/', new Uint8Array(0));
      expect(await storage.head('dir/')).toMatchObject({ key: 'dir/', sizeBytes: 0 });
      expect(await listKeys(storage)).toEqual(['dir/']);
      await expectStorageError(storage.put('full/', bytesOf('x')), 'STORAGE_INVALID_OPTION');
      await storage.delete(['dir/']);
      expect(await listKeys(storage)).toEqual([]);
    });
  });
}

async function expectCopies(storage: Storage): Promise<void> {
  if (storage.copy === undefined) return;
  const copies = ODD_KEYS.map((key) => `copy of/${key}`);
  for (const key of ODD_KEYS) await storage.copy(key, `copy of/${key}`);
  for (const [index, key] of ODD_KEYS.entries())
    expect(await readObject(storage, copies[index] ?? '')).toEqual(bytesOf(key));
  await storage.delete(copies);
}

/** Of names that every file system takes. */
function longKey(lengthBytes: number): string {
  const key = 'long name, '
    .repeat(18)
    .slice(0, 199)
    .concat('/')
    .repeat(Math.ceil(lengthBytes / 200));
  return key.slice(0, lengthBytes).replace(/\/$/, '!');
}

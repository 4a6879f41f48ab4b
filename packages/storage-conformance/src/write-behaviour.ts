import { describe, expect } from 'vitest';
import {
  bytesOf,
  expectStorageError,
  type KitTest,
  listKeys,
  patternBytes,
  readObject,
  streamOf,
} from './kit-helpers.ts';

const MEGABYTE = 1024 * 1024;
const BODY_BYTES = 256 * 1024;

/** Atomicity of puts, failing bodies, aborts, and deletes. */
export function describeWrites(kitTest: KitTest): void {
  describe('writes', () => {
    kitTest('a body that fails midway leaves nothing visible', async (storage) => {
      const failing = async function* () {
        yield patternBytes(2 * MEGABYTE);
        throw new Error('the source broke');
      };
      await expect(storage.put('new', failing())).rejects.toThrow();
      await expectStorageError(storage.head('new'), 'STORAGE_NOT_FOUND');
      expect(await listKeys(storage)).toEqual([]);

      await storage.put('old', bytesOf('old'));
      await expect(storage.put('old', failing())).rejects.toThrow();
      expect(await readObject(storage, 'old')).toEqual(bytesOf('old'));
    });

    kitTest('an error of the source reaches the caller of put', async (storage) => {
      const broken = new Error('the source broke');
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield bytesOf('x');
        throw broken;
      };
      const error = await storage.put('key', failing()).catch((caught: unknown) => caught);
      expect(error === broken || (error instanceof Error && error.cause === broken)).toBe(true);
    });

    kitTest(
      'a body of another size than announced is STORAGE_TRUNCATED and stores nothing',
      async (storage) => {
        await expectStorageError(
          storage.put('short', streamOf(bytesOf('123')), { sizeBytes: 4 }),
          'STORAGE_TRUNCATED',
        );
        await expectStorageError(
          storage.put('long', streamOf(bytesOf('12345')), { sizeBytes: 4 }),
          'STORAGE_TRUNCATED',
        );
        await expectStorageError(
          storage.put('array', bytesOf('12345'), { sizeBytes: 4 }),
          'STORAGE_TRUNCATED',
        );
        expect(await listKeys(storage)).toEqual([]);
      },
    );

    kitTest('an abort in the middle of a put stores nothing and lets go of the source', async (storage) => {
      const controller = new AbortController();
      let released = false;
      const endless = async function* () {
        try {
          for (let count = 0; count < 1000; count++) {
            if (count === 3) controller.abort();
            yield patternBytes(64 * 1024);
          }
        } finally {
          released = true;
        }
      };
      await expectStorageError(
        storage.put('key', endless(), { signal: controller.signal }),
        'STORAGE_ABORTED',
      );
      expect(await listKeys(storage)).toEqual([]);
      await expect.poll(() => released).toBe(true);
    });

    kitTest('readers of an object that is being replaced see one whole version', async (storage) => {
      await storage.put('key', new Uint8Array(BODY_BYTES).fill(0));
      let writing = true;
      const writer = (async () => {
        for (let version = 1; version <= 20; version++) {
          await storage.put('key', new Uint8Array(BODY_BYTES).fill(version));
        }
        writing = false;
      })();
      const reader = async () => {
        do {
          const found = await readObject(storage, 'key');
          expect(found.byteLength).toBe(BODY_BYTES);
          expect(new Set(found).size).toBe(1);
        } while (writing);
      };
      await Promise.all([writer, reader(), reader()]);
      expect((await readObject(storage, 'key'))[0]).toBe(20);
    });

    kitTest('puts of many keys side by side all arrive', async (storage) => {
      const keys = Array.from({ length: 60 }, (_, index) => `d${index % 7}/sub/${index}`);
      await Promise.all(keys.map((key) => storage.put(key, streamOf(bytesOf(key)))));
      expect(new Set(await listKeys(storage))).toEqual(new Set(keys));
    });

    kitTest('delete removes many at once and does not mind missing ones', async (storage) => {
      const keys = Array.from({ length: 30 }, (_, index) => `dir/${index % 3}/${index}`);
      await Promise.all(keys.map((key) => storage.put(key, bytesOf(key))));
      await storage.delete([...keys.slice(0, 20), 'missing', 'dir/missing/too', 'dir/0/0/below']);
      expect(new Set(await listKeys(storage))).toEqual(new Set(keys.slice(20)));
      await storage.delete([]);
      await storage.delete(keys);
      expect(await listKeys(storage)).toEqual([]);
    });

    kitTest('a key can be used again after it was deleted', async (storage) => {
      await storage.put('a/b/c', bytesOf('1'));
      await storage.delete(['a/b/c']);
      await expectStorageError(storage.get('a/b/c'), 'STORAGE_NOT_FOUND');
      await storage.put('a/b', bytesOf('2'));
      expect(await listKeys(storage)).toEqual(['a/b']);
    });
  });
}

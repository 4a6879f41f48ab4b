import { describe, expect } from 'vitest';
import { bytesOf, expectStorageError, type KitTest, patternBytes, readObject } from './kit-helpers.ts';

const MEGABYTE = 1024 * 1024;

/** Ranges, missing objects, early returns and aborts of reads. */
export function describeReads(kitTest: KitTest): void {
  describe('reads', () => {
    kitTest('head and get of a missing object are STORAGE_NOT_FOUND', async (storage) => {
      await storage.put('dir/there', bytesOf('x'));
      for (const key of ['missing', 'dir/missing', 'dir', 'dir/there/below', 'no/such/dir/']) {
        await expectStorageError(storage.head(key), 'STORAGE_NOT_FOUND');
        await expectStorageError(storage.get(key), 'STORAGE_NOT_FOUND');
        await expectStorageError(storage.get(key, { range: { offset: 0, length: 1 } }), 'STORAGE_NOT_FOUND');
      }
    });

    kitTest('a range gives its bytes and the size of the whole object', async (storage) => {
      const bytes = patternBytes(2 * MEGABYTE + 100);
      await storage.put('key', bytes);
      const size = bytes.byteLength;
      for (const [offset, length] of [
        [0, 1],
        [0, size],
        [1, 10],
        [MEGABYTE - 1, 2],
        [MEGABYTE, MEGABYTE],
        [size - 1, 1],
        [5, 2 * MEGABYTE],
      ] as const) {
        const found = await readObject(storage, 'key', { offset, length });
        expect(Buffer.compare(found, bytes.subarray(offset, offset + length))).toBe(0);
      }
      const { info, body } = await storage.get('key', { range: { offset: 7, length: 3 } });
      for await (const _ of body);
      expect(info.sizeBytes).toBe(size);
    });

    kitTest('a range without length reaches to the end', async (storage) => {
      await storage.put('key', bytesOf('0123456789'));
      expect(await readObject(storage, 'key', { offset: 4 })).toEqual(bytesOf('456789'));
      expect(await readObject(storage, 'key', { offset: 0 })).toEqual(bytesOf('0123456789'));
    });

    kitTest('an empty range inside or at the end gives no bytes', async (storage) => {
      await storage.put('key', bytesOf('0123456789'));
      await storage.put('empty', new Uint8Array(0));
      expect(await readObject(storage, 'key', { offset: 3, length: 0 })).toHaveLength(0);
      expect(await readObject(storage, 'key', { offset: 10, length: 0 })).toHaveLength(0);
      expect(await readObject(storage, 'key', { offset: 10 })).toHaveLength(0);
      expect(await readObject(storage, 'empty', { offset: 0 })).toHaveLength(0);
    });

    kitTest('a range that is not wholly inside is STORAGE_TRUNCATED', async (storage) => {
      await storage.put('key', bytesOf('0123456789'));
      await storage.put('empty', new Uint8Array(0));
      for (const range of [
        { offset: 0, length: 11 },
        { offset: 9, length: 2 },
        { offset: 10, length: 1 },
        { offset: 11, length: 0 },
        { offset: 11 },
        { offset: 1000, length: 1 },
      ]) {
        await expectStorageError(readObject(storage, 'key', range), 'STORAGE_TRUNCATED');
      }
      await expectStorageError(readObject(storage, 'empty', { offset: 0, length: 1 }), 'STORAGE_TRUNCATED');
    });

    kitTest('a range of impossible numbers is STORAGE_INVALID_OPTION', async (storage) => {
      await storage.put('key', bytesOf('0123456789'));
      for (const range of [
        { offset: -1 },
        { offset: 0.5 },
        { offset: 0, length: -1 },
        { offset: Number.NaN },
      ]) {
        await expectStorageError(storage.get('key', { range }), 'STORAGE_INVALID_OPTION');
      }
    });

    kitTest('a body may be left early, many times over', async (storage) => {
      await storage.put('key', patternBytes(3 * MEGABYTE));
      for (let round = 0; round < 50; round++) {
        for await (const chunk of (await storage.get('key')).body) {
          expect(chunk.byteLength).toBeGreaterThan(0);
          break;
        }
      }
      expect((await storage.head('key')).sizeBytes).toBe(3 * MEGABYTE);
    });

    kitTest('two bodies of one object can be read side by side', async (storage) => {
      const bytes = patternBytes(2 * MEGABYTE);
      await storage.put('key', bytes);
      const [left, right] = await Promise.all([readObject(storage, 'key'), readObject(storage, 'key')]);
      expect(Buffer.compare(left, bytes)).toBe(0);
      expect(Buffer.compare(right, bytes)).toBe(0);
    });

    kitTest('an aborted call is STORAGE_ABORTED', async (storage) => {
      await storage.put('key', bytesOf('x'));
      const signal = AbortSignal.abort(new Error('enough'));
      await expectStorageError(storage.head('key', { signal }), 'STORAGE_ABORTED');
      await expectStorageError(storage.get('key', { signal }), 'STORAGE_ABORTED');
      await expectStorageError(storage.put('key', bytesOf('y'), { signal }), 'STORAGE_ABORTED');
      await expectStorageError(storage.delete(['key'], { signal }), 'STORAGE_ABORTED');
      const listing = (async () => {
        for await (const _ of storage.list({ signal }));
      })();
      await expectStorageError(listing, 'STORAGE_ABORTED');
      expect(await readObject(storage, 'key')).toEqual(bytesOf('x'));
    });

    kitTest('an abort in the middle of a body ends it with STORAGE_ABORTED', async (storage) => {
      await storage.put('key', patternBytes(8 * MEGABYTE));
      const controller = new AbortController();
      const { body } = await storage.get('key', { signal: controller.signal });
      const reading = (async () => {
        for await (const _ of body) controller.abort();
      })();
      await expectStorageError(reading, 'STORAGE_ABORTED');
    });
  });
}

import { describe, expect } from 'vitest';
import { bytesOf, type KitTest, listKeys, patternBytes, readObject, streamOf } from './kit-helpers.ts';

const MEGABYTE = 1024 * 1024;
/** Whole objects: what was put is what is read, whatever the size and the way it came. */
export function describeObjects(kitTest: KitTest): void {
  describe('objects', () => {
    kitTest('an array that was put is read back with its size', async (storage) => {
      const result = await storage.put('dir/object', bytesOf('hello'));
      expect(result.sizeBytes).toBe(5);
      expect(await readObject(storage, 'dir/object')).toEqual(bytesOf('hello'));
      const info = await storage.head('dir/object');
      expect(info).toMatchObject({ key: 'dir/object', sizeBytes: 5 });
      if (result.etag !== undefined) expect(info.etag).toBe(result.etag);
      expect((await storage.get('dir/object')).info.etag).toBe(info.etag);
    });

    kitTest('an empty object exists and has no bytes', async (storage) => {
      await storage.put('empty', new Uint8Array(0));
      await storage.put('empty-stream', streamOf());
      expect((await storage.head('empty')).sizeBytes).toBe(0);
      expect(await readObject(storage, 'empty')).toEqual(new Uint8Array(0));
      expect(await readObject(storage, 'empty-stream')).toEqual(new Uint8Array(0));
      expect(await listKeys(storage)).toEqual(['empty', 'empty-stream']);
    });

    kitTest('a streamed put of unknown size stores every byte in order', async (storage) => {
      const bytes = patternBytes(3 * MEGABYTE + 17);
      const chunks = [
        bytes.subarray(0, 1),
        bytes.subarray(1, 70_000),
        bytes.subarray(70_000, 2 * MEGABYTE),
        bytes.subarray(2 * MEGABYTE),
      ];
      const result = await storage.put('stream', streamOf(...chunks));
      expect(result.sizeBytes).toBe(bytes.byteLength);
      expect(Buffer.compare(await readObject(storage, 'stream'), bytes)).toBe(0);
    });

    kitTest('a streamed put of known size stores every byte in order', async (storage) => {
      const bytes = patternBytes(2 * MEGABYTE + 1);
      const body = streamOf(bytes.subarray(0, MEGABYTE), bytes.subarray(MEGABYTE));
      await storage.put('stream', body, { sizeBytes: bytes.byteLength });
      expect(Buffer.compare(await readObject(storage, 'stream'), bytes)).toBe(0);
    });

    kitTest('a chunk may be reused by its producer after the next one was asked for', async (storage) => {
      const reused = new Uint8Array(1000);
      const body = (async function* () {
        for (let round = 0; round < 5; round++) {
          reused.fill(round);
          yield reused;
        }
      })();
      await storage.put('reused', body);
      const expected = Uint8Array.from({ length: 5000 }, (_, index) => Math.floor(index / 1000));
      expect(await readObject(storage, 'reused')).toEqual(expected);
    });

    kitTest('what was put may change afterwards, a Buffer too, and so may what was read', async (storage) => {
      const bytes = Buffer.from(patternBytes(5000));
      const expected = Uint8Array.from(bytes);
      await storage.put('kept', bytes);
      bytes.fill(0);
      for await (const chunk of (await storage.get('kept')).body) chunk.fill(1);
      expect(await readObject(storage, 'kept')).toEqual(expected);
    });

    kitTest('a chunk that was read is not touched by later reads', async (storage) => {
      const bytes = patternBytes(3 * MEGABYTE);
      await storage.put('chunks', bytes);
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await storage.get('chunks')).body) chunks.push(chunk);
      expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0);
    });

    kitTest('a put replaces an object whole and changes its etag', async (storage) => {
      const first = await storage.put('key', bytesOf('the first, longer body'));
      const second = await storage.put('key', bytesOf('second'));
      expect(await readObject(storage, 'key')).toEqual(bytesOf('second'));
      if (first.etag !== undefined) expect(second.etag).not.toBe(first.etag);
    });
  });
}

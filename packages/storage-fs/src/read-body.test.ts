import { readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openFsStorage } from './fs-storage.ts';
import { READ_CHUNK_BYTES } from './read-body.ts';
import { temporaryRoot } from './testing/temporary-root.ts';

describe('bodies of a file storage', () => {
  test('chunks are 1 MiB, the last one what is left, and a small object is one chunk', async () => {
    await using root = await temporaryRoot();
    await writeFile(join(root.path, 'big'), new Uint8Array(2 * READ_CHUNK_BYTES + 8192));
    await writeFile(join(root.path, 'small'), new Uint8Array(READ_CHUNK_BYTES));
    const storage = await openFsStorage({ rootPath: root.path });
    const sizesOf = async (key: string) => {
      const sizes: number[] = [];
      for await (const chunk of (await storage.get(key)).body) sizes.push(chunk.byteLength);
      return sizes;
    };
    expect(await sizesOf('big')).toEqual([READ_CHUNK_BYTES, READ_CHUNK_BYTES, 8192]);
    expect(await sizesOf('small')).toEqual([READ_CHUNK_BYTES]);
  });

  test('a file that shrinks while it is read is STORAGE_TRUNCATED', async () => {
    await using root = await temporaryRoot();
    await writeFile(join(root.path, 'key'), new Uint8Array(8 * READ_CHUNK_BYTES));
    const storage = await openFsStorage({ rootPath: root.path });
    const reading = (async () => {
      for await (const _ of (await storage.get('key')).body)
        await truncate(join(root.path, 'key'), READ_CHUNK_BYTES);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'STORAGE_TRUNCATED' });
  });

  test.runIf(process.platform === 'linux')('no file stays open, however a body ends', async () => {
    await using root = await temporaryRoot();
    await writeFile(join(root.path, 'key'), new Uint8Array(4 * READ_CHUNK_BYTES));
    const storage = await openFsStorage({ rootPath: root.path });
    const openFiles = async () => (await readdir('/proc/self/fd')).length;
    const before = await openFiles();
    for (let round = 0; round < 20; round++) {
      for await (const _ of (await storage.get('key')).body) break;
      await (await storage.get('key')).body[Symbol.asyncIterator]().return?.();
      for await (const _ of (await storage.get('key', { range: { offset: 3, length: 100 } })).body);
      await storage.get('key', { range: { offset: 0, length: 2 ** 30 } }).catch(() => undefined);
      const aborted = { signal: AbortSignal.abort() };
      await storage.get('key', aborted).catch(() => undefined);
    }
    expect(await openFiles()).toBe(before);
  });
});

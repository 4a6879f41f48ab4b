import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { compareKeys, type ListOptions, pageListing, type Storage } from '@neon-snapshot/storage-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openFsStorage } from './fs-storage.ts';
import { temporaryRoot } from './testing/temporary-root.ts';

async function collect(pages: ReturnType<Storage['list']>): Promise<{ keys: string[]; prefixes: string[] }> {
  const keys: string[] = [];
  const prefixes: string[] = [];
  for await (const page of pages) {
    keys.push(...page.objects.map((info) => info.key));
    prefixes.push(...page.prefixes);
  }
  return { keys, prefixes };
}

/** Names in which the order of directories and of keys differ, kept from being a file and a directory at once. */
const names = fc.constantFrom('a', 'a-', 'a.', 'a0', 'b', '\u{1f600}', '\uffff', 'é');
const keySets = fc
  .uniqueArray(fc.array(names, { minLength: 1, maxLength: 4 }), {
    maxLength: 12,
    selector: (each) => each.join('/'),
  })
  .map((paths) =>
    paths.map((path) => path.map((name, index) => (index < path.length - 1 ? `${name}d` : name)).join('/')),
  );

describe('listings of a file storage', () => {
  test('equal those of a flat store for any keys, prefix and start', async () => {
    const property = fc.asyncProperty(
      keySets,
      fc.constantFrom('', 'a', 'ad/', 'ad/a', 'b', '\u{1f600}d/'),
      fc.option(fc.constantFrom('a', 'ad/a', 'ad/ad/b', 'a-', 'b', 'é'), { nil: undefined }),
      fc.boolean(),
      async (keys, prefix, startAfter, folds) => {
        await using root = await temporaryRoot();
        const storage = await openFsStorage({ rootPath: root.path });
        for (const key of keys) await storage.put(key, new Uint8Array(0), { deferSync: true });
        const options: ListOptions = {
          prefix,
          ...(startAfter === undefined ? {} : { startAfter }),
          ...(folds ? { delimiter: '/' } : {}),
        };
        const flat = [...keys].sort(compareKeys).map((key) => ({ key, sizeBytes: 0 }));
        const expected = await collect(pageListing(flat, { ...options, prefix, pageSizeMax: 1000 }));
        expect(await collect(storage.list(options))).toEqual(expected);
      },
    );
    await fc.assert(property, { numRuns: 60, seed: 3 });
  });

  test('hide temporary files, and sockets are no objects', async () => {
    await using root = await temporaryRoot();
    const storage = await openFsStorage({ rootPath: root.path });
    await mkdir(join(root.path, 'dir'));
    await writeFile(join(root.path, 'dir/.neon-tmp-1-abc'), 'left by a crash');
    const server = createServer().listen(join(root.path, '.s.PGSQL.5432'));
    await new Promise((resolve) => server.once('listening', resolve));
    expect(await collect(storage.list())).toEqual({ keys: ['dir/'], prefixes: [] });
    await expect(storage.get('.s.PGSQL.5432')).rejects.toMatchObject({
      code: expect.stringMatching(/^STORAGE_/),
    });
    await expect(storage.head('.s.PGSQL.5432')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    await new Promise((resolve) => server.close(resolve));
  });

  test('a name that is not UTF-8 is an error, not left out', async () => {
    await using root = await temporaryRoot();
    const storage = await openFsStorage({ rootPath: root.path });
    await writeFile(Buffer.concat([Buffer.from(`${root.path}/`), Buffer.from([0xff, 0x41])]), '');
    await expect(collect(storage.list())).rejects.toMatchObject({ code: 'STORAGE_INVALID_KEY' });
  });

  test('a big directory is paged, and nothing is read ahead of the reader', async () => {
    await using root = await temporaryRoot();
    const storage = await openFsStorage({ rootPath: root.path });
    await Promise.all(
      Array.from({ length: 1500 }, (_, index) =>
        writeFile(join(root.path, String(index).padStart(4, '0')), ''),
      ),
    );
    const sizes: number[] = [];
    for await (const page of storage.list()) {
      sizes.push(page.objects.length);
      if (sizes.length === 1) await storage.delete(['1499']);
    }
    expect(sizes).toEqual([1000, 499]);
  });
});

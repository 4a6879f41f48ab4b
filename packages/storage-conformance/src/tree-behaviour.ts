import type { FileTree, Storage } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import {
  bytesOf,
  expectStorageError,
  type KitTest,
  listKeys,
  patternBytes,
  readObject,
} from './kit-helpers.ts';

/** What only a file system has; a storage without it must not offer the verbs. */
export function describeFileTree(kitTest: KitTest): void {
  describe('file tree', () => {
    const treeTest = (name: string, run: (storage: Storage, tree: FileTree) => Promise<void>) =>
      kitTest(name, async (storage) => {
        expect(storage.fileTree !== undefined).toBe(storage.capability.fileTree);
        if (storage.fileTree !== undefined) await run(storage, storage.fileTree);
      });

    treeTest('a directory appears as a marker only while it is empty', async (storage, tree) => {
      await tree.makeDirectory('pg_wal/archive_status', { mode: 0o700 });
      expect(await listKeys(storage)).toEqual(['pg_wal/archive_status/']);
      expect((await storage.head('pg_wal/archive_status/')).mode).toBe(0o700);
      await storage.put('pg_wal/archive_status/x', bytesOf('x'));
      expect(await listKeys(storage)).toEqual(['pg_wal/archive_status/x']);
      await tree.makeDirectory('pg_wal/archive_status', { mode: 0o750 });
      expect((await storage.head('pg_wal/archive_status/')).mode).toBe(0o750);
    });

    treeTest('permission bits are kept', async (storage) => {
      await storage.put('dir/private', bytesOf('x'), { mode: 0o600 });
      await storage.put('dir/shared', bytesOf('x'), { mode: 0o664 });
      expect((await storage.head('dir/private')).mode).toBe(0o600);
      expect((await storage.head('dir/shared')).mode).toBe(0o664);
    });

    treeTest('links are listed with their target and never followed', async (storage, tree) => {
      await storage.put('inside/secret', bytesOf('x'));
      await tree.makeLink('pg_tblspc/16384', '/some/where/else');
      await tree.makeLink('alias', 'inside');
      expect(await listKeys(storage)).toEqual(['alias', 'inside/secret', 'pg_tblspc/16384']);
      expect((await storage.head('pg_tblspc/16384')).linkTarget).toBe('/some/where/else');
      await expectStorageError(tree.makeLink('alias', 'elsewhere'), 'STORAGE_ALREADY_EXISTS');
      await expectStorageError(storage.get('alias'), 'STORAGE_OUTSIDE_ROOT');
      await expectStorageError(storage.get('alias/secret'), 'STORAGE_OUTSIDE_ROOT');
      await expectStorageError(storage.put('alias/new', bytesOf('x')), 'STORAGE_OUTSIDE_ROOT');
      await expectStorageError(tree.makeDirectory('alias/sub', { mode: 0o700 }), 'STORAGE_OUTSIDE_ROOT');
      await expectStorageError(tree.makeLink('alias/link', 'x'), 'STORAGE_OUTSIDE_ROOT');
      await expectStorageError(storage.delete(['alias/secret']), 'STORAGE_OUTSIDE_ROOT');
      await storage.delete(['alias']);
      expect(await readObject(storage, 'inside/secret')).toEqual(bytesOf('x'));
    });

    treeTest(
      'puts whose fsync is deferred are visible at once and durable after sync',
      async (storage, tree) => {
        const keys = Array.from({ length: 50 }, (_, index) => `base/${index % 4}/${index}`);
        await Promise.all(keys.map((key) => storage.put(key, bytesOf(key), { deferSync: true })));
        expect(new Set(await listKeys(storage))).toEqual(new Set(keys));
        await storage.delete(keys.slice(0, 10));
        await tree.sync();
        await tree.sync();
        expect(await readObject(storage, 'base/3/11')).toEqual(bytesOf('base/3/11'));
      },
    );

    treeTest('many files are written and read in one go, where the storage can', async (storage, tree) => {
      if (tree.writeFiles === undefined || tree.readFiles === undefined) return;
      const files = Array.from({ length: 300 }, (_, index) => ({
        key: `base/${index % 3}/${index}`,
        bytes: patternBytes(index * 7, index),
        mode: index % 2 === 0 ? 0o600 : 0o666,
      }));
      await tree.writeFiles(files);
      await tree.sync();
      const memory = new Uint8Array(new SharedArrayBuffer(1024 * 1024));
      const expected = files.map(({ key, bytes }) => ({ key, sizeBytes: bytes.length }));
      const found = await tree.readFiles(expected, { memory });
      expect(found.map((bytes) => Buffer.from(bytes ?? []))).toEqual(
        files.map(({ bytes }) => Buffer.from(bytes)),
      );
      expect(await readObject(storage, 'base/2/299')).toEqual(patternBytes(299 * 7, 299));
      expect((await storage.head('base/1/1')).mode).toBe(0o666);
    });

    treeTest('writing in one go replaces nothing and follows no link', async (storage, tree) => {
      if (tree.writeFiles === undefined) return;
      const file = (key: string) => ({ key, bytes: bytesOf('new'), mode: 0o600 });
      await storage.put('taken', bytesOf('old'));
      await tree.makeLink('alias', 'inside');
      await expectStorageError(
        tree.writeFiles([file('first'), file('taken'), file('last')]),
        'STORAGE_ALREADY_EXISTS',
      );
      expect(await listKeys(storage)).toEqual(['alias', 'first', 'taken']);
      expect(await readObject(storage, 'taken')).toEqual(bytesOf('old'));
      await expectStorageError(tree.writeFiles([file('alias')]), 'STORAGE_ALREADY_EXISTS');
      await expectStorageError(tree.writeFiles([file('alias/x')]), 'STORAGE_OUTSIDE_ROOT');
      await expectStorageError(tree.writeFiles([file('../x')]), 'STORAGE_INVALID_KEY');
      await expectStorageError(tree.writeFiles([file('x/')]), 'STORAGE_INVALID_KEY');
    });

    treeTest('reading in one go gives nothing of what is not as expected', async (storage, tree) => {
      if (tree.readFiles === undefined) return;
      const memory = new Uint8Array(new SharedArrayBuffer(100));
      await storage.put('dir/file', bytesOf('12345'));
      await tree.makeLink('alias', 'dir');
      await tree.makeLink('dir/alias', 'file');
      const keys = ['dir/file', 'missing/file', 'dir/missing', 'dir/alias', 'dir'];
      const found = await tree.readFiles(
        keys.map((key) => ({ key, sizeBytes: 5 })),
        { memory },
      );
      expect(found.map((bytes) => bytes !== undefined)).toEqual([true, false, false, false, false]);
      for (const sizeBytes of [4, 6]) {
        expect(await tree.readFiles([{ key: 'dir/file', sizeBytes }], { memory })).toEqual([undefined]);
      }
      await expectStorageError(
        tree.readFiles([{ key: 'alias/file', sizeBytes: 5 }], { memory }),
        'STORAGE_OUTSIDE_ROOT',
      );
    });

    treeTest('the free space is a positive number of bytes', async (_storage, tree) => {
      expect(await tree.freeBytes()).toBeGreaterThan(0);
      expect(tree.rootPath.startsWith('/')).toBe(true);
    });
  });
}

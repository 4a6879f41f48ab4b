import type { FileTree, Storage } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import { bytesOf, expectStorageError, type KitTest, listKeys, readObject } from './kit-helpers.ts';

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

    treeTest('the free space is a positive number of bytes', async (_storage, tree) => {
      expect(await tree.freeBytes()).toBeGreaterThan(0);
      expect(tree.rootPath.startsWith('/')).toBe(true);
    });
  });
}

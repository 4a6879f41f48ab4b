import { readdir } from 'node:fs/promises';
import { createPluginRegistry, openStorage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { temporaryRoot } from './testing/temporary-root.ts';

function registry() {
  const created = createPluginRegistry();
  created.registerLoaded(plugin, '@neon-snapshot/storage-fs');
  return created;
}
const OPEN = { role: 'storage', env: {} } as const;

describe('the plugin of the file storage', () => {
  test('opens a bare path relative to a directory, and creates nothing by opening', async () => {
    await using root = await temporaryRoot();
    const storage = await openStorage(registry(), 'sub/dir', {
      ...OPEN,
      access: 'write',
      baseDirectory: root.path,
    });
    expect(storage.url).toBe(`file://${root.path}/sub/dir`);
    expect(await readdir(root.path)).toEqual([]);
  });

  test('opened to read, it wants the directory to be there and refuses to write', async () => {
    await using root = await temporaryRoot();
    const missing = openStorage(registry(), `${root.path}/nowhere`, { ...OPEN, access: 'read' });
    await expect(missing).rejects.toMatchObject({ code: 'STORAGE_BUCKET_NOT_FOUND' });
    const storage = await openStorage(registry(), `file://${root.path}`, { ...OPEN, access: 'read' });
    await expect(storage.put('x', new Uint8Array(1))).rejects.toMatchObject({ code: 'STORAGE_UNSUPPORTED' });
    await expect(storage.delete(['x'])).rejects.toMatchObject({ code: 'STORAGE_UNSUPPORTED' });
    expect(storage.fileTree?.rootPath).toBe(root.path);
    expect(await readdir(root.path)).toEqual([]);
  });

  test('takes permission bits from the URL or the environment and refuses what is none', async () => {
    await using root = await temporaryRoot();
    const open = (url: string, env = {}) =>
      openStorage(registry(), url, { role: 'storage', env, access: 'write' });
    const storage = await open(`file://${root.path}?file_mode=0640`);
    await storage.put('x', new Uint8Array(1));
    expect((await storage.head('x')).mode).toBe(0o640);
    await expect(open(`file://${root.path}?file-mode=rw`)).rejects.toMatchObject({
      code: 'STORAGE_INVALID_OPTION',
    });
    const env = { NEON_STORAGE_FS_FILE_MODE: '99' };
    await expect(open(root.path, env)).rejects.toMatchObject({ code: 'STORAGE_INVALID_OPTION' });
    await expect(open(`file://${root.path}?filemode=0640`)).rejects.toThrow('did you mean "file_mode"?');
  });
});

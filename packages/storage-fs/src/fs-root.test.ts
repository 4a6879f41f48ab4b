import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Storage } from '@neon-snapshot/storage-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFsStorage } from './fs-storage.ts';
import { temporaryRoot } from './testing/temporary-root.ts';

const BYTES = new Uint8Array([1, 2, 3]);

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'no error',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );
}

async function listAll(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of storage.list()) keys.push(...page.objects.map((info) => info.key));
  return keys;
}

describe('the root of a file storage', () => {
  let scratch: Awaited<ReturnType<typeof temporaryRoot>>;
  let root: string;
  let outside: string;

  beforeAll(async () => {
    scratch = await temporaryRoot();
    root = join(scratch.path, 'root');
    outside = join(scratch.path, 'outside');
    await mkdir(root);
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
  });
  afterAll(() => scratch[Symbol.asyncDispose]());

  test('no verb follows a link out of it, wherever in the key the link is', async () => {
    const storage = await openFsStorage({ rootPath: root });
    await mkdir(join(root, 'a/b'), { recursive: true });
    await symlink(outside, join(root, 'a/b/way-out'));
    await symlink(join(outside, 'secret'), join(root, 'a/file-link'));
    for (const key of ['a/b/way-out/secret', 'a/b/way-out/deep/er', 'a/b/way-out/']) {
      expect(await codeOf(storage.put(key, new Uint8Array(0)))).toBe('STORAGE_OUTSIDE_ROOT');
    }
    expect(await codeOf(storage.get('a/b/way-out/secret'))).toBe('STORAGE_OUTSIDE_ROOT');
    expect(await codeOf(storage.head('a/b/way-out/secret'))).toBe('STORAGE_OUTSIDE_ROOT');
    expect(await codeOf(storage.delete(['a/b/way-out/secret']))).toBe('STORAGE_OUTSIDE_ROOT');
    expect(await codeOf(storage.get('a/file-link'))).toBe('STORAGE_OUTSIDE_ROOT');
    expect(await listAll(storage)).toEqual(['a/b/way-out', 'a/file-link']);
    expect(await readdir(outside)).toEqual(['secret']);
  });

  test('a put replaces a link instead of writing through it', async () => {
    const storage = await openFsStorage({ rootPath: root });
    await symlink(join(outside, 'secret'), join(root, 'linked'));
    await storage.put('linked', BYTES);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
    expect((await storage.head('linked')).linkTarget).toBeUndefined();
  });

  test('a directory that is swapped for a link is noticed within a second', async () => {
    const storage = await openFsStorage({ rootPath: root });
    await storage.put('swapped/x', BYTES);
    await rename(join(root, 'swapped'), join(root, 'moved'));
    await symlink(outside, join(root, 'swapped'));
    await expect
      .poll(() => codeOf(storage.get('swapped/secret')), { timeout: 5000, interval: 100 })
      .toBe('STORAGE_OUTSIDE_ROOT');
  });

  test('it may itself be a link, and need not exist when it may be made', async () => {
    const link = join(scratch.path, 'link');
    await mkdir(join(scratch.path, 'target'));
    await symlink(join(scratch.path, 'target'), link);
    const storage = await openFsStorage({ rootPath: join(link, 'new/er'), create: true });
    expect(await listAll(storage)).toEqual([]);
    expect(await codeOf(storage.get('x'))).toBe('STORAGE_NOT_FOUND');
    expect(await storage.fileTree?.freeBytes()).toBeGreaterThan(0);
    expect(await readdir(join(scratch.path, 'target'))).toEqual([]);
    await storage.put('x', BYTES);
    expect(await readdir(join(scratch.path, 'target/new/er'))).toEqual(['x']);
  });

  test('it must be there, and be a directory, unless it may be made', async () => {
    expect(await codeOf(openFsStorage({ rootPath: join(root, 'nowhere') }))).toBe('STORAGE_BUCKET_NOT_FOUND');
    const file = join(outside, 'secret');
    expect(await codeOf(openFsStorage({ rootPath: file, create: true }))).toBe('STORAGE_BUCKET_NOT_FOUND');
  });

  test('a name is a file or a directory, never both', async () => {
    const storage = await openFsStorage({ rootPath: root });
    await storage.put('name/below', BYTES);
    expect(await codeOf(storage.put('name', BYTES))).toBe('STORAGE_INVALID_KEY');
    expect(await codeOf(storage.put('name/below/deeper', BYTES))).toBe('STORAGE_INVALID_KEY');
  });

  test('a name too long for a file system and the names of temporary files are refused as keys', async () => {
    const storage = await openFsStorage({ rootPath: root });
    for (const key of ['n'.repeat(256), 'é'.repeat(128), '.neon-tmp-x', 'a/.neon-tmp-x/b']) {
      expect(await codeOf(storage.put(key, BYTES))).toBe('STORAGE_INVALID_KEY');
    }
    await storage.put('n'.repeat(255), BYTES);
  });

  test('the root is never pruned', async () => {
    const storage = await openFsStorage({ rootPath: join(root, 'own'), create: true });
    await storage.put('a/b/c', BYTES);
    await storage.delete(['a/b/c']);
    expect(await readdir(join(root, 'own'))).toEqual([]);
  });
});

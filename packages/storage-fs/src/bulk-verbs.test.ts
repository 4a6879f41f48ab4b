import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFsStorage } from './fs-storage.ts';
import { startScript } from './testing/child-script.ts';
import { temporaryRoot } from './testing/temporary-root.ts';

const body = new Uint8Array(20_000).fill(7);

test('permission bits are exact whatever the umask', async () => {
  await using root = await temporaryRoot();
  await using storage = await openFsStorage({ rootPath: root.path });
  const before = process.umask(0o077);
  try {
    await storage.fileTree?.writeFiles?.([{ key: 'open', bytes: body, mode: 0o644 }]);
  } finally {
    process.umask(before);
  }
  expect((await stat(join(root.path, 'open'))).mode & 0o777).toBe(0o644);
});

test('bytes of a small part of a large buffer and of shared memory are written as they are', async () => {
  await using root = await temporaryRoot();
  await using storage = await openFsStorage({ rootPath: root.path });
  const shared = new Uint8Array(new SharedArrayBuffer(100)).fill(3);
  await storage.fileTree?.writeFiles?.([
    { key: 'a', bytes: body.subarray(10, 15), mode: 0o600 },
    { key: 'b', bytes: shared.subarray(90), mode: 0o600 },
  ]);
  const memory = new Uint8Array(new SharedArrayBuffer(15));
  const expected = [
    { key: 'a', sizeBytes: 5 },
    { key: 'b', sizeBytes: 10 },
  ];
  await storage.fileTree?.readFiles?.(expected, { memory });
  expect([...memory]).toEqual([...Array(5).fill(7), ...Array(10).fill(3)]);
});

test('an aborted batch writes nothing', async () => {
  await using root = await temporaryRoot();
  await using storage = await openFsStorage({ rootPath: root.path });
  const write = storage.fileTree?.writeFiles?.([{ key: 'x', bytes: body, mode: 0o600 }], {
    signal: AbortSignal.abort(),
  });
  await expect(write).rejects.toMatchObject({ code: 'STORAGE_ABORTED' });
  expect(await readdir(root.path)).toEqual([]);
});

test.runIf(process.platform === 'linux')(
  'a file that cannot be written whole is a typed error, and no part of it stays',
  async () => {
    await using root = await temporaryRoot();
    const script = startScript('limited-writer', [root.path]);
    expect(JSON.parse(await script.nextLine())).toEqual({
      code: 'STORAGE_TOO_LARGE',
      key: 'large',
      names: ['small'],
    });
  },
);

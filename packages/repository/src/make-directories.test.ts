import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDirectories } from './make-directories.ts';
import { initRepository } from './repository.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'neon-directories-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('directories', () => {
  it('are made with their parents; the topmost new one is told', async () => {
    const path = join(directory, 'a/b/c');
    expect(await makeDirectories(path)).toBe(join(directory, 'a'));
    expect((await stat(path)).isDirectory()).toBe(true);
    expect(await makeDirectories(path)).toBeUndefined();
    expect(await makeDirectories(join(path, 'd'))).toBe(join(path, 'd'));
  });

  it('are made by several at once', async () => {
    const path = join(directory, 'many/x/y');
    await Promise.all(Array.from({ length: 8 }, () => makeDirectories(path)));
    expect((await stat(path)).isDirectory()).toBe(true);
  });

  it('are not made below a file or a link to nowhere', async () => {
    await writeFile(join(directory, 'file'), '');
    await symlink('nowhere', join(directory, 'dangling'));
    await expect(makeDirectories(join(directory, 'file/x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(makeDirectories(join(directory, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeDirectories(join(directory, 'dangling/x'))).rejects.toHaveProperty('code');
  });
});

describe.runIf(process.platform === 'linux')(
  'a directory in which none can be made (/proc, Linux only)',
  () => {
    it('is an error, and no endless loop', async () => {
      await expect(makeDirectories('/proc/neon/a/b')).rejects.toMatchObject({ code: 'ENOENT' });
      const config = {
        storage_dest: 'file:///x',
        tenant_id: 'a'.repeat(32),
        timeline_id: 'b'.repeat(32),
        pg_version: 17,
      };
      await expect(initRepository({ directory: '/proc/neon', config })).rejects.toMatchObject({
        code: 'REPOSITORY_IO',
        message: expect.stringContaining('/proc/neon'),
      });
    });
  },
);

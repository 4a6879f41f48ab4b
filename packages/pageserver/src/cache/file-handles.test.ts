import { readdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeStateDirectory } from '../testing/memory-server.ts';
import { FileHandles } from './file-handles.ts';

async function openFilesIn(directory: string): Promise<number> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((target) => target.startsWith(directory)).length;
}

describe.runIf(process.platform === 'linux')('files kept open (looks into /proc, Linux only)', () => {
  it('are closed by close, also those that a late reader opens afterwards', async () => {
    await using directory = await makeStateDirectory();
    const path = join(directory.path, 'layer');
    await writeFile(path, 'content');
    const handles = new FileHandles();
    const read = async () => Buffer.from(await handles.read(path, 3, 4)).toString();
    expect([await read(), await openFilesIn(directory.path)]).toEqual(['tent', 1]);
    handles.close();
    await expect.poll(() => openFilesIn(directory.path)).toBe(0);
    expect(await read()).toBe('tent');
    await expect.poll(() => openFilesIn(directory.path)).toBe(0);
  });
});

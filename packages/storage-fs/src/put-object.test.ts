import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openFsStorage } from './fs-storage.ts';
import { withObjectLock } from './object-lock.ts';
import { startScript } from './testing/child-script.ts';
import { temporaryRoot } from './testing/temporary-root.ts';

const RACERS = 4;
const BYTES = new Uint8Array([1, 2, 3]);

async function race(args: readonly string[]): Promise<string[]> {
  const racers = Array.from({ length: RACERS }, () => startScript('racing-writer', args));
  for (const racer of racers) expect(await racer.nextLine()).toBe('ready');
  for (const racer of racers) racer.process.stdin.write('go\n');
  return (await Promise.all(racers.map((racer) => racer.nextLine()))).sort();
}

describe('puts to a file storage', () => {
  test(`of ${RACERS} processes that put-if-absent one key exactly one wins`, async () => {
    await using root = await temporaryRoot();
    expect(await race([root.path, 'dir/key'])).toEqual([
      ...Array.from({ length: RACERS - 1 }, () => 'STORAGE_ALREADY_EXISTS'),
      'won',
    ]);
    expect(await readdir(join(root.path, 'dir'))).toEqual(['key']);
  });

  test(`of ${RACERS} processes that replace one version exactly one wins`, async () => {
    await using root = await temporaryRoot();
    const storage = await openFsStorage({ rootPath: root.path });
    const { etag = '' } = await storage.put('key', BYTES);
    expect(await race([root.path, 'key', etag])).toEqual([
      ...Array.from({ length: RACERS - 1 }, () => 'STORAGE_PRECONDITION_FAILED'),
      'won',
    ]);
    expect(await readdir(root.path)).toEqual(['key']);
  });

  test('a process killed in the middle of a put leaves nothing that a listing shows', async () => {
    await using root = await temporaryRoot();
    const storage = await openFsStorage({ rootPath: root.path });
    await storage.put('old', BYTES);
    const writer = startScript('endless-writer', [root.path, 'old']);
    await writer.nextLine();
    writer.process.kill('SIGKILL');
    await new Promise((resolve) => writer.process.once('close', resolve));
    const keys: string[] = [];
    for await (const page of storage.list()) keys.push(...page.objects.map((info) => info.key));
    expect(keys).toEqual(['old']);
    expect((await storage.head('old')).sizeBytes).toBe(BYTES.byteLength);
    expect(await readdir(root.path)).toHaveLength(2);
  });

  test('a failed put leaves no file and no directory behind', async () => {
    await using root = await temporaryRoot();
    const storage = await openFsStorage({ rootPath: root.path });
    const failing = async function* () {
      yield BYTES;
      throw new Error('the source broke');
    };
    await expect(storage.put('new/dir/key', failing())).rejects.toThrow('the source broke');
    expect(await readdir(root.path)).toEqual([]);
  });

  test('a system error of the source is not taken for one of the storage', async () => {
    await using root = await temporaryRoot();
    const storage = await openFsStorage({ rootPath: root.path });
    const denied = Object.assign(new Error('source is not readable'), { code: 'EACCES' });
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield BYTES;
      throw denied;
    };
    expect(await storage.put('key', failing()).catch((error: unknown) => error)).toBe(denied);
  });

  test('new files and directories are for their owner alone unless said otherwise', async () => {
    await using root = await temporaryRoot();
    await (await openFsStorage({ rootPath: root.path })).put('a/private', BYTES);
    const shared = { rootPath: root.path, fileMode: 0o644, directoryMode: 0o755 };
    await (await openFsStorage(shared)).put('b/shared', BYTES);
    const modes = ['a', 'a/private', 'b', 'b/shared'].map(async (name) => {
      return ((await stat(join(root.path, name))).mode & 0o777).toString(8);
    });
    expect(await Promise.all(modes)).toEqual(['700', '600', '755', '644']);
  });

  test('a lock that a crashed process left is taken over once it has not changed for long enough', async () => {
    await using root = await temporaryRoot();
    const call = { path: join(root.path, 'key'), key: 'key', signal: undefined, staleAfterMs: 150 };
    let lockName = '';
    await withObjectLock(call, async () => {
      lockName = (await readdir(root.path))[0] ?? '';
    });
    await writeFile(join(root.path, lockName), '');
    const startedAt = performance.now();
    expect(await withObjectLock(call, async () => 'done')).toBe('done');
    expect(performance.now() - startedAt).toBeGreaterThan(150);
    expect(await readdir(root.path)).toEqual([]);
  });

  test('waiting for a lock ends when the caller gives up', async () => {
    await using root = await temporaryRoot();
    const call = { path: join(root.path, 'key'), key: 'key' };
    await withObjectLock({ ...call, signal: undefined }, async () => {
      const waiting = withObjectLock({ ...call, signal: AbortSignal.timeout(30) }, async () => 'never');
      await expect(waiting).rejects.toMatchObject({ code: 'STORAGE_ABORTED' });
    });
  });

  test('a refused access names the component of the path that is in the way', async () => {
    await using root = await temporaryRoot();
    await chmod(root.path, 0o755);
    for (const [name, mode] of [
      ['closed', 0o700],
      ['read-only', 0o755],
    ] as const) {
      await mkdir(join(root.path, name, 'inner'), { recursive: true });
      await writeFile(join(root.path, name, 'inner/file'), 'x');
      await chmod(join(root.path, name, 'inner/file'), 0o400);
      await chmod(join(root.path, name, 'inner'), 0o555);
      await chmod(join(root.path, name), process.getuid?.() === 0 ? mode : mode & 0o577);
    }
    if (process.getuid?.() !== 0) await chmod(join(root.path, 'closed'), 0);
    const reader = startScript('unprivileged-reader', [
      root.path,
      'closed/inner/file',
      'read-only/inner/file',
    ]);
    const reports: { code: string; message: string }[] = [];
    for (let count = 0; count < 4; count++) reports.push(JSON.parse(await reader.nextLine()));
    if (process.getuid?.() !== 0) await chmod(join(root.path, 'closed'), 0o700);
    const [readClosed, putClosed, readFile, putFile] = reports;
    for (const report of [readClosed, putClosed, putFile]) expect(report?.code).toBe('STORAGE_ACCESS_DENIED');
    expect(readClosed?.message).toContain(`may not enter the directory ${root.path}/closed`);
    expect(putClosed?.message).toContain(`may not enter the directory ${root.path}/closed`);
    expect(putFile?.message).toContain(`may not write to the directory ${root.path}/read-only/inner`);
    if (process.getuid?.() === 0)
      expect(readFile?.message).toContain(`may not read ${root.path}/read-only/inner/file`);
  });
});

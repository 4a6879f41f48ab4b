import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Header, type HeaderData } from 'tar/header';
import { expect, test } from 'vitest';
import { isArchiveError } from './archive-error.ts';
import { readTar } from './read-tar.ts';
import { collect, inChunks, listTar } from './testing/streams.ts';
import { writeTar } from './write-tar.ts';

const run = promisify(execFile);
const END = new Uint8Array(1024);

test('members are found whatever the size of the chunks', async () => {
  const archive = await collect(
    writeTar([
      { kind: 'directory', path: 'd' },
      { kind: 'file', path: 'd/one', sizeBytes: 513, body: [new Uint8Array(513).fill(1)] },
      { kind: 'file', path: 'x'.repeat(150), sizeBytes: 512, body: [new Uint8Array(512).fill(2)] },
    ]),
  );
  const whole = await listTar(inChunks(archive, archive.length));
  expect(whole.map(({ path, sum }) => [path, sum])).toEqual([
    ['d', 0],
    ['d/one', 513],
    ['x'.repeat(150), 1024],
  ]);
  for (const size of [1, 7, 511, 512, 513, 4096])
    expect(await listTar(inChunks(archive, size))).toEqual(whole);
});

test('bodies that are not read are skipped', async () => {
  const archive = writeTar(
    ['a', 'b'].map((path) => ({
      kind: 'file' as const,
      path,
      sizeBytes: 1000,
      body: [new Uint8Array(1000)],
    })),
  );
  const paths: string[] = [];
  for await (const { path } of readTar(archive)) paths.push(path);
  expect(paths).toEqual(['a', 'b']);
});

test.each(['gnu', 'ustar', 'posix', 'v7'])(
  'archives of the %s format by GNU tar are read',
  async (format) => {
    const directory = await mkdtemp(join(tmpdir(), 'neon-tar-'));
    try {
      const name = format === 'v7' ? 'short' : `${'long-directory/'.repeat(8)}file`;
      await mkdir(join(directory, 'in', name, '..'), { recursive: true });
      await writeFile(join(directory, 'in', name), 'hello');
      await symlink('/somewhere', join(directory, 'in', 'link'));
      const archive = join(directory, 'a.tar');
      await run('tar', ['-cf', archive, `--format=${format}`, '-C', join(directory, 'in'), '.']);
      const entries = await listTar(inChunks(await readFile(archive), 10_240));
      expect(entries.find(({ kind }) => kind === 'file')).toMatchObject({
        path: name,
        sizeBytes: 5,
        sum: 532,
      });
      expect(entries.find(({ kind }) => kind === 'link')).toMatchObject({
        path: 'link',
        linkTarget: '/somewhere',
      });
      expect(entries.map(({ path }) => path)).not.toContain('.');
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);

test('a size past 8 GiB is read from base-256 and from pax', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'neon-tar-'));
  try {
    const path = join(directory, 'big');
    await writeFile(path, '');
    await truncate(path, 9 * 2 ** 30);
    for (const format of ['gnu', 'posix']) {
      const { stdout } = await run(
        'sh',
        ['-c', `tar -cf - --format=${format} -C ${directory} big | head -c 4096`],
        { encoding: 'buffer' },
      );
      for await (const { sizeBytes } of readTar(inChunks(stdout, 4096))) {
        expect(sizeBytes).toBe(9 * 2 ** 30);
        break;
      }
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('an archive cut anywhere is truncated, and never read as whole', async () => {
  const archive = await collect(
    writeTar([
      { kind: 'file', path: 'y'.repeat(120), sizeBytes: 600, body: [new Uint8Array(600)] },
      { kind: 'directory', path: 'z' },
    ]),
  );
  for (let length = 0; length < archive.length; length += 1)
    await expect(
      listTar(inChunks(archive.subarray(0, length), 4096)),
      `${length} bytes`,
    ).rejects.toMatchObject({
      code: 'ARCHIVE_TRUNCATED',
    });
});

test('a flipped bit in a header is noticed', async () => {
  const archive = await collect(
    writeTar([{ kind: 'file', path: 'a', sizeBytes: 4, body: [new Uint8Array(4)] }]),
  );
  for (let bit = 0; bit < 512 * 8; bit += 1) {
    const damaged = archive.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const error = await listTar(inChunks(damaged, 4096)).catch((caught: unknown) => caught);
    // The checksum's own padding (a NUL and a space) is not covered by anything.
    if (bit >> 3 < 148 || bit >> 3 >= 154)
      expect(isArchiveError(error) || bit >> 3 === 154 || bit >> 3 === 155, `bit ${bit}`).toBe(true);
  }
});

test.each([
  ['an absolute name', { path: '/etc/passwd' }, 'ARCHIVE_UNSAFE_PATH'],
  ['a name that climbs', { path: 'base/../../etc' }, 'ARCHIVE_UNSAFE_PATH'],
  ['no name', { path: '' }, 'ARCHIVE_UNSAFE_PATH'],
  ['a file in the place of the root', { path: './', type: 'SymbolicLink' as const }, 'ARCHIVE_UNSAFE_PATH'],
  ['a hard link', { path: 'a', type: 'Link' as const, linkpath: 'b' }, 'ARCHIVE_UNSUPPORTED'],
  ['a device', { path: 'a', type: 'BlockDevice' as const }, 'ARCHIVE_UNSUPPORTED'],
  ['a pipe', { path: 'a', type: 'FIFO' as const }, 'ARCHIVE_UNSUPPORTED'],
  ['a sparse file', { path: 'a', type: 'SparseFile' as const }, 'ARCHIVE_UNSUPPORTED'],
])('%s is refused', async (_, header, code) => {
  await expect(listTar(archiveOf([block(header)]))).rejects.toMatchObject({ code });
});

test('names twice and names below a link are refused', async () => {
  const file = block({ path: 'a' });
  await expect(listTar(archiveOf([file, file]))).rejects.toMatchObject({ code: 'ARCHIVE_DUPLICATE' });
  await expect(listTar(archiveOf([file, block({ path: './a/', type: 'Directory' })]))).rejects.toMatchObject({
    code: 'ARCHIVE_DUPLICATE',
  });
  const link = block({ path: 'up', type: 'SymbolicLink', linkpath: '/etc' });
  await expect(listTar(archiveOf([link, block({ path: 'up/passwd' })]))).rejects.toMatchObject({
    code: 'ARCHIVE_UNSAFE_PATH',
  });
  await expect(listTar(archiveOf([link, block({ path: 'up/x/y/z' })]))).rejects.toMatchObject({
    code: 'ARCHIVE_UNSAFE_PATH',
  });
});

test('extended headers without end, or larger than the limit, are refused before they are read', async () => {
  const long = block({ path: 'l', type: 'NextFileHasLongPath', size: 5 });
  const body = new Uint8Array(512).fill(0x61, 0, 5);
  const chain = Array.from({ length: 20 }, () => [long, body]).flat();
  await expect(listTar(archiveOf([...chain, block({ path: 'a' })]))).rejects.toMatchObject({
    code: 'ARCHIVE_LIMIT',
  });
  const huge = block({ path: 'p', type: 'ExtendedHeader', size: 2 ** 40 });
  await expect(listTar(archiveOf([huge]))).rejects.toMatchObject({ code: 'ARCHIVE_LIMIT' });
  await expect(listTar(archiveOf([long, body]))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
});

test('limits on members and their size are kept', async () => {
  const members = [block({ path: 'a' }), block({ path: 'b' })];
  await expect(listTar(archiveOf(members), { limits: { memberCountMax: 1 } })).rejects.toMatchObject({
    code: 'ARCHIVE_LIMIT',
  });
  const big = archiveOf([block({ path: 'a', size: 2000 })]);
  await expect(listTar(big, { limits: { memberSizeMaxBytes: 1999 } })).rejects.toMatchObject({
    code: 'ARCHIVE_LIMIT',
  });
});

test('padding behind the end mark is read to its end, other data is refused', async () => {
  const file = block({ path: 'a' });
  expect(await listTar(archiveOf([file, END, new Uint8Array(9216)]))).toHaveLength(1);
  await expect(listTar(archiveOf([file, END, new Uint8Array(512).fill(1)]))).rejects.toMatchObject({
    code: 'ARCHIVE_INVALID',
  });
});

test('an abort interrupts, and the stream is released', async () => {
  const controller = new AbortController();
  let released = false;
  const endless = async function* () {
    try {
      yield block({ path: 'a', size: 2 ** 33 });
      for (;;) yield new Uint8Array(65536);
    } finally {
      released = true;
    }
  };
  const reading = (async () => {
    for await (const { body } of readTar(endless(), { signal: controller.signal }))
      for await (const _ of body) controller.abort();
  })();
  await expect(reading).rejects.toMatchObject({ code: 'ARCHIVE_ABORTED' });
  expect(released).toBe(true);
});

function block(data: HeaderData): Uint8Array {
  const header = new Header({ size: 0, mode: 0o644, type: 'File', mtime: new Date(0), ...data });
  header.encode();
  return new Uint8Array(header.block ?? []);
}

function archiveOf(blocks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  return inChunks(Buffer.concat([...blocks, END]), 1000);
}

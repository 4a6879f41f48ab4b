import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decompress } from './compression.ts';
import { directoryMembers } from './directory-members.ts';
import { readTar } from './read-tar.ts';
import type { TarMember } from './tar-entry.ts';
import { collect, listTar } from './testing/streams.ts';
import { writeTar } from './write-tar.ts';

const NEON_ARCHIVE = new URL(
  '../../../../shared/data/neon/pg17/storage/tenants/17101010101010101010101010101010/timelines/17404040404040404040404040404040/initdb.tar.zst',
  import.meta.url,
);

test('what is written is read again, with long names, links and bodies in many chunks', async () => {
  const longPath = `${'deep/'.repeat(40)}file`;
  const members: TarMember[] = [
    { kind: 'directory', path: 'base' },
    {
      kind: 'file',
      path: 'base/1',
      sizeBytes: 700,
      mode: 0o600,
      modifiedAt: new Date(1_700_000_000_000),
      body: [new Uint8Array(300).fill(1), new Uint8Array(400).fill(2)],
    },
    { kind: 'file', path: 'base/empty', sizeBytes: 0 },
    { kind: 'link', path: 'pg_tblspc', linkTarget: `/${'far/'.repeat(40)}away` },
    { kind: 'file', path: longPath, sizeBytes: 3_000_000, body: [new Uint8Array(3_000_000).fill(3)] },
    { kind: 'file', path: 'größe', sizeBytes: 1, body: [Uint8Array.of(7)] },
  ];
  expect(await listTar(writeTar(members))).toEqual([
    { kind: 'directory', path: 'base', mode: 0o755, modifiedAt: 0, sizeBytes: 0, sum: 0 },
    { kind: 'file', path: 'base/1', mode: 0o600, modifiedAt: 1_700_000_000_000, sizeBytes: 700, sum: 1100 },
    { kind: 'file', path: 'base/empty', mode: 0o644, modifiedAt: 0, sizeBytes: 0, sum: 0 },
    {
      kind: 'link',
      path: 'pg_tblspc',
      mode: 0o777,
      modifiedAt: 0,
      sizeBytes: 0,
      sum: 0,
      linkTarget: `/${'far/'.repeat(40)}away`,
    },
    { kind: 'file', path: longPath, mode: 0o644, modifiedAt: 0, sizeBytes: 3_000_000, sum: 9_000_000 },
    { kind: 'file', path: 'größe', mode: 0o644, modifiedAt: 0, sizeBytes: 1, sum: 7 },
  ]);
});

test('a body of another length than announced is an error', async () => {
  for (const body of [[new Uint8Array(9)], [new Uint8Array(6), new Uint8Array(5)]])
    await expect(collect(writeTar([{ kind: 'file', path: 'a', sizeBytes: 10, body }]))).rejects.toMatchObject(
      {
        code: 'ARCHIVE_SIZE_MISMATCH',
      },
    );
});

test.each(['/etc/passwd', 'a/../../b', 'a\0b'])('the name %j is refused', async (path) => {
  await expect(collect(writeTar([{ kind: 'file', path, sizeBytes: 0 }]))).rejects.toMatchObject({
    code: 'ARCHIVE_UNSAFE_PATH',
  });
});

test('a directory gives the same archive whatever its times, modes and order of creation', async () => {
  const digests: string[] = [];
  for (const order of [
    ['b', 'a', 'B'],
    ['B', 'a', 'b'],
  ]) {
    const directory = await mkdtemp(join(tmpdir(), 'neon-archive-'));
    try {
      await mkdir(join(directory, 'sub'));
      for (const name of order) {
        await writeFile(join(directory, name), `contents of ${name}`, { mode: 0o600 });
        await writeFile(join(directory, 'sub', name), name.repeat(2_000_000));
      }
      const hash = createHash('sha256');
      const paths: string[] = [];
      for await (const entry of readTar(hashing(writeTar(directoryMembers(directory)), hash)))
        paths.push(entry.path);
      expect(paths).toEqual(['B', 'a', 'b', 'sub', 'sub/B', 'sub/a', 'sub/b']);
      digests.push(hash.digest('hex'));
    } finally {
      await rm(directory, { recursive: true });
    }
  }
  expect(digests[0]).toBe(digests[1]);
});

const neonArchive = existsSync(NEON_ARCHIVE) || process.env.CI === 'true';
test.runIf(neonArchive)(
  `a real page server's initdb archive is written again byte for byte${neonArchive ? '' : ' (skipped: ../shared/data is not here)'}`,
  async () => {
    const plain = () => decompress(createReadStream(NEON_ARCHIVE), 'zstd');
    const original = createHash('sha256');
    for await (const chunk of plain()) original.update(chunk);
    const members = async function* (): AsyncGenerator<TarMember> {
      for await (const { kind, path, sizeBytes, body } of readTar(plain()))
        yield { kind, path, sizeBytes, body };
    };
    const written = createHash('sha256');
    for await (const chunk of writeTar(members())) written.update(chunk);
    expect(written.digest('hex')).toBe(original.digest('hex'));
  },
);

async function* hashing(
  stream: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    hash.update(chunk);
    yield chunk;
  }
}

import { describe, expect, test } from 'vitest';
import { type IndexedMember, indexTar } from './index-tar.ts';
import { readTar } from './read-tar.ts';
import { writeTar } from './write-tar.ts';

const MEMBERS = [
  { kind: 'directory', path: 'base' },
  { kind: 'file', path: 'base/empty', sizeBytes: 0, body: [] },
  { kind: 'file', path: 'base/small', sizeBytes: 5, body: [Buffer.from('hello')] },
  { kind: 'link', path: 'pg_tblspc/1', linkTarget: '/srv' },
  { kind: 'file', path: 'base/large', sizeBytes: 700_001, body: [Buffer.alloc(700_001, 3)] },
  { kind: 'file', path: 'last', sizeBytes: 512, body: [Buffer.alloc(512, 4)] },
] as const;

async function tarOf(members: Parameters<typeof writeTar>[0]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of writeTar(members)) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

async function index(tar: Buffer): Promise<{ members: IndexedMember[]; bytesRead: number }> {
  const members: IndexedMember[] = [];
  let bytesRead = 0;
  const read = async ({ offset, length }: { readonly offset: number; readonly length: number }) => {
    bytesRead += length;
    return tar.subarray(offset, offset + length);
  };
  for await (const member of indexTar({ sizeBytes: tar.length, read })) members.push(member);
  return { members, bytesRead };
}

describe('the index of a tar', () => {
  test('has the place of every file, and skips large bodies', async () => {
    const tar = await tarOf(MEMBERS);
    const { members, bytesRead } = await index(tar);
    expect(bytesRead).toBeLessThan(400_000);
    const found = members.map(({ path, offset, sizeBytes }) => [
      path,
      tar.subarray(offset, offset + sizeBytes),
    ]);
    const expected: [string, Buffer][] = [];
    for await (const { kind, path, body } of readTar(only(tar))) {
      if (kind !== 'file') continue;
      const parts: Uint8Array[] = [];
      for await (const part of body) parts.push(part);
      expected.push([path, Buffer.concat(parts)]);
    }
    expect(found).toEqual(expected);
  });

  test('of a tar that is cut is an error', async () => {
    const tar = await tarOf(MEMBERS);
    for (const cut of [0, 100, 512, 1024, 2000, 300_000, tar.length - 1024]) {
      await expect(index(tar.subarray(0, cut))).rejects.toMatchObject({ code: 'ARCHIVE_TRUNCATED' });
    }
  });

  test('refuses what it does not know, and damage', async () => {
    const long = await tarOf([{ kind: 'file', path: `base/${'x'.repeat(120)}`, sizeBytes: 0, body: [] }]);
    await expect(index(long)).rejects.toMatchObject({ code: 'ARCHIVE_UNSUPPORTED' });
    const damaged = await tarOf(MEMBERS);
    damaged[20] = 0xff;
    await expect(index(damaged)).rejects.toMatchObject({ code: 'ARCHIVE_CHECKSUM' });
  });
});

async function* only(bytes: Uint8Array) {
  yield bytes;
}

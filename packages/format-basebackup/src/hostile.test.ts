import { gzipSync, zstdCompressSync } from 'node:zlib';
import { encodeUstarHeader } from '@neon-snapshot/archive';
import {
  copySnapshot,
  createFormatServices,
  describeSource,
  type FormatPlugin,
} from '@neon-snapshot/format-core';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import {
  encodeTar,
  makeTinyBackup,
  storeTinyBackup,
  type TinyBackup,
  type TinyMember,
} from './testing/tiny-backup.ts';

const services = createFormatServices({
  openStorage: async (url) => {
    throw new Error(`no storage at ${url}`);
  },
  warn: () => undefined,
});

/** Copies a backup; what the destination has afterwards. */
async function copyTo(target: FormatPlugin, storage: Storage): Promise<string[]> {
  const destination = createMemoryStorage();
  const names: string[] = [];
  try {
    await using reader = await plugin.openReader({ storage, options: {}, services, concurrency: 2 });
    const writer = await target.openWriter({
      storage: destination,
      options: {},
      services,
      concurrency: 2,
      source: describeSource(reader, 'basebackup'),
    });
    await copySnapshot({ reader, writer, concurrency: 2 });
  } finally {
    for await (const { objects } of destination.list()) names.push(...objects.map(({ key }) => key));
    left = names.filter((name) => !name.endsWith('/'));
  }
  return names;
}

let left: string[] = [];

/** Both ways out of a spoilt backup end in the error, and leave no file. */
async function expectRefused(storage: Storage, expected: object): Promise<void> {
  for (const target of [pgdata, plugin]) {
    await expect(copyTo(target, storage)).rejects.toMatchObject({ name: 'FormatError', ...expected });
    expect(left).toEqual([]);
  }
}

function spoilt(change: (backup: TinyBackup) => void): TinyBackup {
  const backup = makeTinyBackup();
  change(backup);
  return backup;
}

function memberIndex(members: readonly TinyMember[], path: string): number {
  return members.findIndex((member) => 'path' in member && member.path === path);
}

describe('a backup that is whole', () => {
  test.each([14, 15, 16, 17, 18])('of Postgres %i is copied to both formats', async (major) => {
    const storage = await storeTinyBackup(makeTinyBackup(major), { major });
    expect(await copyTo(pgdata, storage)).toEqual(
      expect.arrayContaining([
        'backup_label',
        'base/5/1259',
        'global/pg_control',
        'pg_wal/000000010000000000000002',
      ]),
    );
    expect(await copyTo(plugin, storage)).toEqual([
      '16500.tar.zst',
      'backup_manifest',
      'base.tar.zst',
      'pg_wal.tar.zst',
    ]);
  });
});

describe('a truncated tar', () => {
  const { base } = makeTinyBackup();
  const whole = encodeTar(base);
  const cuts = base.flatMap((_, index) => {
    const start = encodeTar(base.slice(0, index)).length - 1024;
    return [start, start + 100, start + 512, start + 700];
  });

  test.each(
    [...new Set([...cuts, whole.length - 1024, whole.length - 512])].filter((cut) => cut < whole.length),
  )('of %i bytes is an error, and nothing is left', async (cut) => {
    const storage = await storeTinyBackup(makeTinyBackup());
    await storage.put('base.tar', whole.subarray(0, cut));
    await expectRefused(storage, { code: expect.stringMatching(/FORMAT_(TRUNCATED|INVALID|CHECKSUM)/) });
  });

  test.each(['16500.tar', 'pg_wal.tar'])('%s is an error too', async (key) => {
    const storage = await storeTinyBackup(makeTinyBackup());
    const tar = encodeTar(key === 'pg_wal.tar' ? makeTinyBackup().wal : makeTinyBackup().tablespace);
    for (const cut of [0, 512, 3000, tar.length - 1024]) {
      await storage.put(key, tar.subarray(0, cut));
      await expectRefused(storage, { code: 'FORMAT_TRUNCATED' });
    }
  });
});

describe('a hostile member', () => {
  const bytes = new Uint8Array(10);
  test.each<[string, TinyMember, string]>([
    ['that climbs out', { path: '../evil', bytes }, 'FORMAT_INVALID'],
    ['that climbs out in the middle', { path: 'base/../../evil', bytes }, 'FORMAT_INVALID'],
    ['with an absolute name', { path: '/etc/evil', bytes }, 'FORMAT_INVALID'],
    ['that is a link out', { path: 'base/6', linkTarget: '/etc' }, 'FORMAT_INVALID'],
    [
      'that is a link of a tablespace nobody named',
      { path: 'pg_tblspc/16501', linkTarget: '/etc' },
      'FORMAT_INVALID',
    ],
    ['below a link', { path: 'pg_tblspc/16501/x', bytes }, 'FORMAT_INVALID'],
    ['that comes twice', { path: 'base/5/1259', bytes: new Uint8Array(3 * 8192).fill(1) }, 'FORMAT_INVALID'],
    ['that lies in another tar too', { path: 'pg_wal/000000010000000000000002', bytes }, 'FORMAT_INVALID'],
    ['that the manifest does not list', { path: 'base/5/9999', bytes }, 'FORMAT_INVALID'],
    ['that is a hard link', { raw: withType('1') }, 'FORMAT_INVALID'],
    ['that is a device', { raw: withType('3') }, 'FORMAT_INVALID'],
    ['with a pax header of gigabytes', { raw: withType('x', 4 * 1024 ** 3) }, 'FORMAT_INVALID'],
    ['with a GNU name of gigabytes', { raw: withType('L', 4 * 1024 ** 3) }, 'FORMAT_INVALID'],
    ['with a bad header', { raw: new Uint8Array(512).fill(0x41) }, 'FORMAT_CHECKSUM'],
  ])('%s ends the copy', async (_, member, code) => {
    const backup = spoilt(({ base }) => base.splice(6, 0, member));
    await expectRefused(await storeTinyBackup(backup), { code });
  });

  test('that is a link in the tar of a tablespace ends the copy', async () => {
    const backup = spoilt(({ tablespace }) => tablespace.push({ path: 'x', linkTarget: '/etc' }));
    await expectRefused(await storeTinyBackup(backup), { code: 'FORMAT_INVALID' });
  });
});

describe('a backup that differs from its manifest', () => {
  const spoil = (path: string, bytes: Uint8Array) =>
    spoilt(({ base }) => void base.splice(memberIndex(base, path), 1, { path, bytes }));

  test.each([
    ['in the bytes of a file', spoil('base/5/1259', new Uint8Array(3 * 8192).fill(9)), 'FORMAT_CHECKSUM'],
    ['in the size of a file', spoil('base/5/1259', new Uint8Array(2 * 8192).fill(1)), 'FORMAT_CHECKSUM'],
    [
      'in a file of a tablespace, by SHA-256',
      spoilt(({ tablespace }) => {
        const [last] = tablespace.splice(-1);
        const path = last !== undefined && 'path' in last ? last.path : '';
        tablespace.push({ path, bytes: new Uint8Array(2 * 8192).fill(3) });
      }),
      'FORMAT_CHECKSUM',
    ],
    ['by a file too few', spoilt(({ base }) => void base.splice(6, 1)), 'FORMAT_TRUNCATED'],
  ])('%s ends the copy', async (_, backup, code) => {
    await expectRefused(await storeTinyBackup(backup), { code });
  });

  test('which is itself damaged, or of another cluster, is not read', async () => {
    const storage = await storeTinyBackup(makeTinyBackup());
    const manifest: Uint8Array[] = [];
    for await (const chunk of (await storage.get('backup_manifest')).body) manifest.push(chunk);
    const text = Buffer.concat(manifest).toString();
    await storage.put('backup_manifest', Buffer.from(text.replace('postgresql.conf', 'postgresql.cxnf')));
    await expectRefused(storage, { code: 'FORMAT_CHECKSUM' });
    await storage.put('backup_manifest', Buffer.from('{'));
    await expectRefused(storage, { code: 'FORMAT_INVALID' });
  });
});

describe('a backup with a part missing', () => {
  test.each([
    ['base.tar', 'FORMAT_NOT_FOUND'],
    ['pg_wal.tar', 'FORMAT_TRUNCATED'],
    ['16500.tar', 'FORMAT_TRUNCATED'],
  ])('without %s ends the copy', async (key, code) => {
    const storage = await storeTinyBackup(makeTinyBackup());
    await storage.delete([key]);
    await expectRefused(storage, { code });
  });

  test.each(['backup_label', 'global/pg_control'])('without %s in base.tar ends the copy', async (path) => {
    const backup = spoilt(({ base }) => void base.splice(memberIndex(base, path), 1));
    await expectRefused(await storeTinyBackup(backup), { code: 'FORMAT_TRUNCATED' });
  });

  test('without its label and its manifest says that it is none', async () => {
    const backup = spoilt(({ base }) => void base.shift());
    const storage = await storeTinyBackup(backup);
    await storage.delete(['backup_manifest']);
    await expectRefused(storage, { code: 'FORMAT_INVALID' });
  });

  test('that is there twice says so', async () => {
    const storage = await storeTinyBackup(makeTinyBackup());
    await storage.put('base.tar.gz', gzipSync(encodeTar(makeTinyBackup().base)));
    await expectRefused(storage, { code: 'FORMAT_AMBIGUOUS' });
  });
});

describe('a wrong compression', () => {
  test.each([
    ['.gz', (bytes: Uint8Array) => zstdCompressSync(bytes)],
    ['.zst', (bytes: Uint8Array) => gzipSync(bytes)],
    ['.lz4', (bytes: Uint8Array) => gzipSync(bytes)],
    ['.gz', (bytes: Uint8Array) => bytes],
    ['', (bytes: Uint8Array) => gzipSync(bytes)],
  ])('behind the name base.tar%s ends the copy', async (extension, compress) => {
    const storage = await storeTinyBackup(makeTinyBackup(), { extension, compress });
    await expectRefused(storage, { code: expect.stringMatching(/FORMAT_(INVALID|CHECKSUM)/) });
  });

  test.each([
    ['.gz', (bytes: Uint8Array) => gzipSync(bytes)],
    ['.zst', (bytes: Uint8Array) => zstdCompressSync(bytes)],
  ])('or a cut one ends the copy: %s', async (extension, compress) => {
    const cut = (bytes: Uint8Array) => compress(bytes).subarray(0, -9);
    const storage = await storeTinyBackup(makeTinyBackup(), { extension, compress: cut });
    await expectRefused(storage, { code: 'FORMAT_TRUNCATED' });
  });
});

/** A header of 512 bytes with another type flag, and the checksum of it. */
function withType(type: string, sizeBytes = 0): Uint8Array {
  const member = { kind: 'file', path: 'evil', sizeBytes, mode: 0o600, modifiedAt: new Date(0) } as const;
  const block = encodeUstarHeader({ ...member, owner: 'postgres' }).slice(0, 512);
  block[156] = type.charCodeAt(0);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  return block;
}

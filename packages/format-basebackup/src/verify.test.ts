import { gzipSync } from 'node:zlib';
import { createFormatServices, type VerifyLevel } from '@neon-snapshot/format-core';
import { createPageChecksums, decodeControlFile, encodeControlFile } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { encodeTar, makeTinyBackup, storeTinyBackup, type TinyBackup } from './testing/tiny-backup.ts';

const services = createFormatServices({
  openStorage: async (url) => {
    throw new Error(`no storage at ${url}`);
  },
  warn: () => undefined,
});

async function verify(storage: Storage, level: VerifyLevel) {
  if (plugin.verify === undefined) throw new Error('no verify');
  return plugin.verify({ storage, level, options: {}, services, concurrency: 2 });
}

/** A backup whose relations are made of pages that Postgres would take. */
function soundBackup(): TinyBackup {
  const backup = makeTinyBackup();
  replace(backup, 'base/5/1259', emptyPages(3));
  const controlFile = backup.base.at(-1);
  if (controlFile === undefined || !('bytes' in controlFile)) throw new Error('the last member is no file');
  const checksummed = { ...decodeControlFile(controlFile.bytes), dataChecksumVersion: 1 };
  replace(backup, 'global/pg_control', encodeControlFile(checksummed));
  const { tablespace } = backup;
  const last = tablespace.at(-1);
  if (last !== undefined && 'path' in last)
    tablespace.splice(-1, 1, { path: last.path, bytes: emptyPages(2) });
  return backup;
}

function replace({ base }: TinyBackup, path: string, bytes: Uint8Array): void {
  const index = base.findIndex((member) => 'path' in member && member.path === path);
  base.splice(index, 1, { path, bytes });
}

function changed(change: (backup: TinyBackup) => void): Promise<Storage> {
  const backup = soundBackup();
  change(backup);
  return storeTinyBackup(backup, { manifestOf: soundBackup() });
}

const LEVELS = ['meta', 'hash', 'pages'] as const;

describe('the check of a backup', () => {
  test.each(LEVELS)(
    'finds nothing wrong with a sound one at level %s, and says what it saw',
    async (level) => {
      const storage = await storeTinyBackup(soundBackup(), { manifestOf: soundBackup() });
      const { findings, counts } = await verify(storage, level);
      expect(findings).toEqual([]);
      expect(counts).toMatchObject({ tars: 3, manifestFiles: 8 });
      if (level === 'pages') expect(counts).toMatchObject({ pages: 5 });
    },
  );

  test('names every file that differs from the manifest, not the first alone', async () => {
    const storage = await changed((backup) => {
      replace(
        backup,
        'base/5/1259',
        emptyPages(3, (pages) => pages.fill(7, 9000, 9001)),
      );
      replace(backup, 'postgresql.conf', new Uint8Array(3));
      replace(backup, 'PG_VERSION', new TextEncoder().encode('16\n'));
      backup.base.splice(6, 0, { path: 'base/5/4444', bytes: new Uint8Array(0) });
      backup.base.splice(
        backup.base.findIndex((member) => 'path' in member && member.path === 'base/5/1260'),
        1,
      );
    });
    expect((await verify(storage, 'meta')).findings).toEqual([]);
    const { findings } = await verify(storage, 'hash');
    expect(findings.map(({ code, path }) => `${code} ${path}`).sort()).toEqual([
      'FILE_CHECKSUM PG_VERSION',
      'FILE_CHECKSUM base/5/1259',
      'FILE_EXTRA base/5/4444',
      'FILE_MISSING base/5/1260',
      'FILE_SIZE postgresql.conf',
    ]);
    const { findings: byPage } = await verify(storage, 'pages');
    expect(byPage).toContainEqual(expect.objectContaining({ code: 'PAGE_CHECKSUM', path: 'base/5/1259' }));
  });

  test('finds a wrong hash in a manifest whose own checksum is right', async () => {
    const other = soundBackup();
    replace(
      other,
      'base/5/1259',
      emptyPages(3, (pages) => pages.fill(1, 8000, 8001)),
    );
    const storage = await storeTinyBackup(soundBackup(), { manifestOf: other });
    const { findings } = await verify(storage, 'hash');
    expect(findings).toMatchObject([{ code: 'FILE_CHECKSUM', path: 'base/5/1259' }]);
  });

  test('misses the tar of a tablespace at once', async () => {
    const storage = await changed(() => undefined);
    await storage.delete(['16500.tar']);
    const { findings } = await verify(storage, 'meta');
    expect(findings).toMatchObject([{ code: 'TAR_MISSING', path: 'pg_tblspc/16500' }]);
  });

  test('misses WAL that the backup needs', async () => {
    const storage = await changed(() => undefined);
    await storage.delete(['pg_wal.tar']);
    const { findings } = await verify(storage, 'hash');
    expect(findings).toMatchObject([{ code: 'UNREADABLE', message: expect.stringContaining('WAL segment') }]);
  });

  test.each([
    ['plain', '', (bytes: Uint8Array) => bytes],
    ['gzip', '.gz', (bytes: Uint8Array) => gzipSync(bytes)],
  ])('finds a bad page without any manifest: %s', async (_, extension, compress) => {
    const backup = soundBackup();
    replace(
      backup,
      'base/5/1259',
      emptyPages(3, (pages) => pages.fill(7, 9000, 9001)),
    );
    const storage = await storeTinyBackup(backup, { extension, compress });
    await storage.delete(['backup_manifest']);
    expect((await verify(storage, 'hash')).findings).toMatchObject([
      { severity: 'warning', code: 'MANIFEST_ABSENT' },
    ]);
    expect((await verify(storage, 'pages')).findings).toMatchObject([
      { severity: 'warning', code: 'MANIFEST_ABSENT' },
      { code: 'PAGE_CHECKSUM', path: 'base/5/1259', message: expect.stringContaining('block 1 of') },
    ]);
  });

  test('lets a page pass that was being written while it was read', async () => {
    const torn = emptyPages(3, (pages) => {
      // The LSN of block 1 is where the backup began; the rest of the page is older.
      pages.writeUInt32LE(0x200028, 8192 + 4);
    });
    const backup = soundBackup();
    replace(backup, 'base/5/1259', torn);
    const storage = await storeTinyBackup(backup, { manifestOf: backup });
    const { findings, counts } = await verify(storage, 'pages');
    expect(findings).toEqual([]);
    expect(counts).toMatchObject({ pagesInFlux: 1 });
  });

  test('takes a tar that breaks off as a finding', async () => {
    const storage = await changed(() => undefined);
    await storage.put('16500.tar', encodeTar(soundBackup().tablespace).subarray(0, 3000));
    const { findings } = await verify(storage, 'hash');
    expect(findings).toMatchObject([{ code: 'UNREADABLE' }]);
  });
});

/** Empty heap pages with valid checksums, which `spoil` may change afterwards. */
function emptyPages(count: number, spoil: (pages: Buffer) => void = () => undefined): Uint8Array {
  const checksums = createPageChecksums({ pagesMax: count });
  const pages = Buffer.alloc(count * 8192);
  for (let start = 0; start < pages.length; start += 8192) {
    pages.writeUInt16LE(24, start + 12);
    pages.writeUInt16LE(8192, start + 14);
    pages.writeUInt16LE(8192, start + 16);
    pages.writeUInt16LE(8196, start + 18);
  }
  checksums.buffer.set(pages);
  checksums.stamp(count, 0);
  const stamped = Buffer.from(checksums.buffer);
  spoil(stamped);
  return stamped;
}

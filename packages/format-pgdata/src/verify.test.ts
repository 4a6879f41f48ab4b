import { createFormatServices, type VerifyLevel, type VerifyReport } from '@neon-snapshot/format-core';
import { BackupManifestWriter, crc32c, formatManifestCrc32c, lsn } from '@neon-snapshot/postgres';
import { readAll, type Storage, StorageError } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { plugin } from './plugin.ts';
import { makeTinyCluster, type TinyCluster } from './testing/tiny-cluster.ts';

const services = createFormatServices({
  openStorage: async (url) => {
    throw new StorageError({ code: 'STORAGE_NOT_FOUND', operation: 'open', message: `there is no ${url}` });
  },
  warn: () => undefined,
});

async function verify(storage: Storage, level: VerifyLevel): Promise<VerifyReport> {
  const report = await plugin.verify?.({ storage, level, options: {}, services, concurrency: 1 });
  if (report === undefined) throw new Error('the format cannot verify');
  return report;
}

function codes({ findings }: VerifyReport): string[] {
  return findings.map(({ severity, code, path }) => `${severity} ${code} ${path}`);
}

/** A cluster with the manifest of what it holds now. */
async function withManifest(algorithm: 'CRC32C' | 'none' = 'CRC32C', end?: bigint): Promise<TinyCluster> {
  const cluster = await makeTinyCluster();
  const writer = new BackupManifestWriter({
    version: 2,
    systemIdentifier: cluster.controlFile.systemIdentifier,
  });
  for await (const { objects } of cluster.storage.list()) {
    for (const { key, sizeBytes } of objects) {
      if (key.endsWith('/') || key.startsWith('pg_wal/') || key === 'backup_manifest') continue;
      const bytes = await readAll((await cluster.storage.get(key)).body, { sizeMaxBytes: 2 ** 30 });
      const checksum = { algorithm: 'CRC32C', hex: formatManifestCrc32c(crc32c(bytes)) } as const;
      writer.addFile({
        path: key,
        size: sizeBytes,
        modifiedAt: new Date(0),
        ...(algorithm === 'none' ? {} : { checksum }),
      });
    }
  }
  const endLsn = end === undefined ? cluster.recordEnd : lsn(end);
  const manifest = writer.finish([{ timeLineId: 1, startLsn: cluster.recordStart, endLsn }]);
  await cluster.storage.put('backup_manifest', manifest);
  return cluster;
}

async function damage(storage: Storage, key: string, offset: number): Promise<void> {
  const bytes = await readAll((await storage.get(key)).body, { sizeMaxBytes: 2 ** 30 });
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  await storage.put(key, bytes);
}

async function relationOf(storage: Storage): Promise<string> {
  for await (const { objects } of storage.list({ prefix: 'base/' })) {
    const found = objects.find(({ key, sizeBytes }) => /\/\d+$/.test(key) && sizeBytes >= 8192);
    if (found !== undefined) return found.key;
  }
  throw new Error('there is no relation');
}

describe('verifying a data directory', () => {
  it.each(['meta', 'hash', 'pages'] as const)('finds nothing in a sound one at level %s', async (level) => {
    const { storage } = await withManifest();
    const report = await verify(storage, level);
    expect(report.findings).toEqual([]);
    expect(report.counts.plannedFiles).toBeGreaterThan(5);
    if (level === 'pages') expect(report.counts.pages).toBeGreaterThan(0);
    if (level === 'hash') expect(report.counts.manifestFiles).toBeGreaterThan(5);
  });

  it('finds files that differ from the manifest, are missing, or are not in it', async () => {
    const { storage } = await withManifest();
    const key = await relationOf(storage);
    await damage(storage, key, 100);
    await storage.put('base/5/99999', new Uint8Array(8192));
    await storage.delete(['base/5/PG_VERSION']);
    expect(codes(await verify(storage, 'hash')).sort()).toEqual([
      `error FILE_CHECKSUM ${key}`,
      'error FILE_MISSING base/5/PG_VERSION',
      'warning FILE_EXTRA base/5/99999',
    ]);
  });

  it('finds a file of another size, without checksums too', async () => {
    const { storage } = await withManifest('none');
    const key = await relationOf(storage);
    await storage.put(key, new Uint8Array(50 * 8192));
    expect(codes(await verify(storage, 'hash'))).toEqual([`error FILE_SIZE ${key}`]);
  });

  it('only reads where there is no manifest, or one of another state of the directory', async () => {
    const { storage } = await makeTinyCluster();
    await storage.delete(['backup_manifest']);
    const report = await verify(storage, 'hash');
    expect(codes(report)).toEqual(['warning MANIFEST_ABSENT backup_manifest']);
    expect(report.counts.files).toBeGreaterThan(5);
    const older = await withManifest('CRC32C', 0x100n);
    await damage(older.storage, await relationOf(older.storage), 100);
    expect(codes(await verify(older.storage, 'hash'))).toEqual(['warning MANIFEST_STALE backup_manifest']);
  });

  it('finds a manifest that is damaged', async () => {
    const { storage } = await withManifest();
    await damage(storage, 'backup_manifest', 60);
    expect(codes(await verify(storage, 'hash'))).toEqual(['error MANIFEST_INVALID backup_manifest']);
  });

  it('finds every page whose checksum is wrong, not only the first', async () => {
    const { storage } = await withManifest();
    const key = await relationOf(storage);
    const bytes = await readAll((await storage.get(key)).body, { sizeMaxBytes: 2 ** 30 });
    const twice = new Uint8Array(bytes.length + 8192);
    twice.set(bytes);
    twice.set(bytes.subarray(0, 8192), bytes.length);
    twice[8000] = (twice[8000] ?? 0) ^ 1;
    await storage.put(key, twice);
    const report = await verify(storage, 'pages');
    expect(codes(report)).toEqual([`error PAGE_CHECKSUM ${key}`, `error PAGE_CHECKSUM ${key}`]);
  });

  it('rejects a directory that cannot be opened', async () => {
    const { storage } = await makeTinyCluster({ state: 6 });
    await expect(verify(storage, 'meta')).rejects.toMatchObject({ code: 'FORMAT_NOT_SHUT_DOWN' });
  });
});

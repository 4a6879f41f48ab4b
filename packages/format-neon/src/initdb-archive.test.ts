import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decompress, readTar } from '@neon-snapshot/archive';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { expect, test } from 'vitest';
import { writeInitdbArchive } from './initdb-archive.ts';

const IDS = { tenantId: 'a'.repeat(32), timelineId: 'b'.repeat(32) };
const KEY = `tenants/${IDS.tenantId}/timelines/${IDS.timelineId}/initdb.tar.zst`;

test('the whole data directory is archived, sorted, where page servers look for it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'neon-initdb-'));
  try {
    await mkdir(join(directory, 'base/1'), { recursive: true });
    await mkdir(join(directory, 'pg_wal'));
    for (const name of ['PG_VERSION', 'base/1/112', 'pg_wal/000000010000000000000001']) {
      await writeFile(join(directory, name), name);
    }
    await using source = await openFsStorage({ rootPath: directory });
    await using storage = createMemoryStorage();
    await writeInitdbArchive(storage, { ...IDS, source });
    const { body } = await storage.get(KEY);
    const members: string[] = [];
    for await (const entry of readTar(decompress(body, 'zstd'))) {
      members.push(`${entry.path} ${entry.kind} ${entry.mode.toString(8)} ${entry.modifiedAt.getTime()}`);
      for await (const _ of entry.body);
    }
    expect(members).toEqual([
      'PG_VERSION file 644 0',
      'base directory 755 0',
      'base/1 directory 755 0',
      'base/1/112 file 644 0',
      'pg_wal directory 755 0',
      'pg_wal/000000010000000000000001 file 644 0',
    ]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('a source that is no local directory is refused', async () => {
  await using storage = createMemoryStorage();
  const work = writeInitdbArchive(storage, { ...IDS, source: storage });
  await expect(work).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
});

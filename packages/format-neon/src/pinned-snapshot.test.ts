import { isFormatError } from '@neon-snapshot/format-core';
import {
  encodeIndexPart,
  indexObjectKey,
  loadTimeline,
  relBlockKey,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { formatLsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { addLaterLayer, LATER_LSN } from './testing/later-layer.ts';
import { imported, readFiles, TENANT, TIMELINE } from './testing/made-up-runs.ts';
import { makePages, makeSnapshot, SNAPSHOT_LSN } from './testing/made-up-snapshot.ts';

const PAGE = relBlockKey({ spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 0 }, 1);
const NEW_PAGE = makePages(1, { firstBlock: 1, seed: 9 });
const AT_IMPORT = { lsn: formatLsn(SNAPSHOT_LSN) };

/** An import that went on, and whose history ends where it is now. */
async function collected(): Promise<Storage> {
  const storage = await imported();
  await addLaterLayer(storage, [[PAGE, { kind: 'image', image: NEW_PAGE }]]);
  const { index } = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
  const metadata = { ...index.metadata, latestGcCutoffLsn: LATER_LSN };
  const tenant = { tenantId: TENANT, shard: UNSHARDED };
  const key = indexObjectKey({ tenant, timelineId: TIMELINE, generation: 3 });
  await storage.put(key, encodeIndexPart({ ...index, metadata }));
  return storage;
}

const snapshotsOf = (storage: Storage) => openRefs({ storage, tenantId: TENANT }).snapshots;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => (isFormatError(error) ? error.code : error),
  );

describe('an LSN before the GC cutoff', () => {
  test('is refused, also where another one or that of another timeline is pinned', async () => {
    await using storage = await collected();
    expect(await codeOf(readFiles(storage, AT_IMPORT))).toBe('FORMAT_LSN_OUT_OF_RANGE');
    await snapshotsOf(storage).create('other-lsn', { timelineId: TIMELINE, lsn: LATER_LSN });
    await snapshotsOf(storage).create('elsewhere', { timelineId: 'f'.repeat(32), lsn: SNAPSHOT_LSN });
    expect(await codeOf(readFiles(storage, AT_IMPORT))).toBe('FORMAT_LSN_OUT_OF_RANGE');
  });

  test('is read where a snapshot pins it, by the LSN or by the name, until the name is gone', async () => {
    await using storage = await collected();
    await snapshotsOf(storage).create('imported', { timelineId: TIMELINE, lsn: SNAPSHOT_LSN });
    const { files } = makeSnapshot();
    for (const options of [AT_IMPORT, { snapshot: 'imported' }]) {
      const found = await readFiles(storage, options);
      for (const [path, bytes] of files) expect(found.get(path), path).toEqual(bytes);
    }
    await snapshotsOf(storage).remove('imported');
    expect(await codeOf(readFiles(storage, AT_IMPORT))).toBe('FORMAT_LSN_OUT_OF_RANGE');
    expect(await codeOf(readFiles(storage, { snapshot: 'imported' }))).toBe('FORMAT_NOT_FOUND');
  });
});

test('a snapshot is of one timeline, has a name that one can have, and leaves no room for another point', async () => {
  await using storage = await imported();
  await snapshotsOf(storage).create('imported', { timelineId: TIMELINE, lsn: SNAPSHOT_LSN });
  const timeline_id = 'f'.repeat(32);
  const wrong = [{ timeline_id }, AT_IMPORT, { time: '2026-11-22T09:00:55Z' }];
  for (const options of wrong)
    expect(await codeOf(readFiles(storage, { ...options, snapshot: 'imported' }))).toBe('FORMAT_OPTION');
  expect(await codeOf(readFiles(storage, { snapshot: '../imported' }))).toBe('FORMAT_OPTION');
});

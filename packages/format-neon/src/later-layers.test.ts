import {
  CHECKPOINT_KEY,
  encodeRelDirectory,
  encodeSizeValue,
  type IndexPart,
  openTimelineView,
  relBlockKey,
  relDirKey,
  relDirV2Key,
  relSizeKey,
} from '@neon-snapshot/neon-layer';
import { decodeCheckPoint, encodeCheckPoint, formatLsn, lsn, type RelTag } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import { addLaterLayer, LATER_LSN } from './testing/later-layer.ts';
import { imported, openReader, readFiles, TENANT, TIMELINE } from './testing/made-up-runs.ts';
import { makePages, makeSnapshot, SNAPSHOT_LSN } from './testing/made-up-snapshot.ts';

/*
 * A made-up import with one delta layer of images on top, as a page server may write it: relation 1259 shrinks to two pages, of
 * which one is new, and 16400 is dropped.
 */

const NEW_PAGE = makePages(1, { firstBlock: 1, seed: 9 });

function tag(relNode: number, forkNum: 0 | 2 = 0): RelTag {
  return { spcNode: 1663, dbNode: 5, relNode, forkNum };
}

const KEPT: readonly RelTag[] = [tag(1259), tag(1259, 2), tag(2600)];

async function addLater(
  storage: Storage,
  {
    values,
    index,
  }: { readonly values: readonly (readonly [Uint8Array, Uint8Array])[]; readonly index?: Partial<IndexPart> },
): Promise<void> {
  const images = values.map(([key, image]) => [key, { kind: 'image', image }] as const);
  await addLaterLayer(storage, images, index);
}

async function laterCheckpoint(storage: Storage): Promise<Uint8Array> {
  const view = await openTimelineView(storage, { tenant: TENANT, timelineId: TIMELINE });
  const checkPoint = decodeCheckPoint((await view.get(CHECKPOINT_KEY)) ?? new Uint8Array(), 17);
  view.close();
  return encodeCheckPoint({ ...checkPoint, redo: lsn(0n), nextXid: 0x1_0000_0800n }, 17);
}

function changes(checkpoint: Uint8Array): (readonly [Uint8Array, Uint8Array])[] {
  return [
    [relDirKey(1663, 5), encodeRelDirectory(KEPT)],
    [relBlockKey(tag(1259), 1), NEW_PAGE],
    [relSizeKey(tag(1259)), encodeSizeValue(2)],
    [CHECKPOINT_KEY, checkpoint],
  ];
}

test('images in delta layers count, blocks beyond a size and dropped relations do not', async () => {
  const { files } = makeSnapshot();
  await using storage = await imported();
  await addLater(storage, { values: changes(await laterCheckpoint(storage)) });
  const found = await readFiles(storage);
  const page = (files.get('base/5/1259') ?? new Uint8Array()).subarray(0, 8192);
  expect(found.get('base/5/1259')).toEqual(new Uint8Array(Buffer.concat([page, NEW_PAGE])));
  expect(found.has('base/5/16400')).toBe(false);
  expect(found.get('base/5/1259_vm')).toEqual(files.get('base/5/1259_vm'));
});

test('the older LSN still gives what was imported', async () => {
  const { files } = makeSnapshot();
  await using storage = await imported();
  await addLater(storage, { values: changes(await laterCheckpoint(storage)) });
  const found = await readFiles(storage, { lsn: formatLsn(SNAPSHOT_LSN) });
  for (const [path, bytes] of files) expect(found.get(path), path).toEqual(bytes);
});

test('statistics are of the clean shutdown and left out at a later LSN', async () => {
  const files = { 'pg_stat/pgstat.stat': new Uint8Array(100).fill(1) };
  await using storage = await imported({ files });
  await addLater(storage, { values: changes(await laterCheckpoint(storage)) });
  expect((await readFiles(storage)).has('pg_stat/pgstat.stat')).toBe(false);
  expect((await readFiles(storage, { lsn: formatLsn(SNAPSHOT_LSN) })).has('pg_stat/pgstat.stat')).toBe(true);
});

test('a timeline that moved to the newer relation directory lists relations by it', async () => {
  await using storage = await imported();
  const checkpoint = await laterCheckpoint(storage);
  const shared: RelTag = { spcNode: 1664, dbNode: 0, relNode: 1262, forkNum: 0 };
  const listed = [tag(1259), tag(16400), shared].map(
    (each) => [relDirV2Key(each), Uint8Array.of(0x72)] as const,
  );
  await addLater(storage, {
    values: [[CHECKPOINT_KEY, checkpoint], ...listed],
    index: { relSizeMigration: 'migrated', relSizeMigratedAt: LATER_LSN },
  });
  const relations = (paths: Iterable<string>) =>
    [...paths].filter((path) => /^(base\/5|global)\/\d+/.test(path));
  expect(relations((await readFiles(storage)).keys())).toEqual([
    'base/5/1259',
    'base/5/16400',
    'global/1262',
  ]);
  const before = await readFiles(storage, { lsn: formatLsn(SNAPSHOT_LSN) });
  expect(relations(before.keys())).toContain('base/5/2600');
});

test('a block that the size promises and no layer has is an error that names it', async () => {
  await using storage = await imported();
  const checkpoint = await laterCheckpoint(storage);
  await addLater(storage, {
    values: [
      [relSizeKey(tag(16400)), encodeSizeValue(5)],
      [CHECKPOINT_KEY, checkpoint],
    ],
  });
  await expect(readFiles(storage)).rejects.toMatchObject({
    code: 'FORMAT_TRUNCATED',
    context: { path: 'base/5/16400', block: 3 },
  });
  await using reader = await openReader(storage, { lsn: formatLsn(SNAPSHOT_LSN) });
  expect(reader.info.postgresMajor).toBe(17);
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FormatOptions, PlannedFile, SnapshotInfo, WriteContext } from '@neon-snapshot/format-core';
import { lsn } from '@neon-snapshot/postgres';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { readContext } from './testing/contexts.ts';

const INFO: SnapshotInfo = {
  systemIdentifier: 7n,
  postgresMajor: 17,
  catalogVersion: 202406281,
  lsn: lsn(0x2000100n),
  timeLineId: 1,
  dataChecksums: false,
  consistency: { kind: 'consistent' },
  walSegmentSizeBytes: 16 << 20,
  blockSizeBytes: 8192,
  tablespaces: [
    { oid: 16400, location: '/old/a' },
    { oid: 16401, location: '/old/b=c' },
  ],
  features: { replicationSlots: [], commitTimestamps: false, statistics: false },
};

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'neon-destination-'));
});
afterAll(() => rm(root, { recursive: true }));

async function contextFor(
  mapping: readonly string[],
  source: { readonly info?: Partial<SnapshotInfo>; readonly plan?: readonly PlannedFile[] } = {},
): Promise<WriteContext> {
  const storage = await openFsStorage({ rootPath: join(root, 'data'), create: true });
  const options: FormatOptions = { tablespace_mapping: mapping };
  const context = readContext({ storage, options });
  const services = {
    ...context.services,
    openStorage: (rootPath: string) => openFsStorage({ rootPath, create: true }),
  };
  const { plan, info } = source;
  return {
    ...context,
    services,
    source: { info: { ...INFO, ...info }, formatName: 'pgdata', ...(plan === undefined ? {} : { plan }) },
  };
}

describe('a tablespace mapping', () => {
  const cases: [string, readonly string[], RegExp][] = [
    ['is no pair', ['/old/a'], /"\/old\/a" is not OLD=NEW/],
    ['has two equals signs', ['/old/a=/x=/y'], /is not OLD=NEW/],
    ['has a relative target', ['/old/a=new'], /"new" is not an absolute path/],
    ['maps one place twice', ['/old/a=/x', '/old/a=/y'], /mapped twice/],
    ['names an unknown place', ['/other=/x'], /no tablespace is at \/other; the snapshot has: \/old\/a/],
    ['sends two to one place', ['/old/a=/x', '/old/b\\=c=/x'], /two tablespaces would lie in \/x/],
  ];
  test.each(cases)('that %s is refused', async (_, mapping, message) => {
    await expect(plugin.openWriter(await contextFor(mapping))).rejects.toMatchObject({
      code: 'FORMAT_OPTION',
      message: expect.stringMatching(message),
    });
  });

  test('into the data directory is refused', async () => {
    const inside = join(root, 'data', 'spaces');
    await expect(plugin.openWriter(await contextFor([`/old/a=${inside}`]))).rejects.toMatchObject({
      code: 'FORMAT_OPTION',
      message: expect.stringContaining('lies inside the data directory'),
    });
  });

  test('is accepted with an escaped equals sign, and nothing is written by opening', async () => {
    const mapping = [`/old/a=${join(root, 'a')}`, `/old/b\\=c=${join(root, 'b')}`];
    const writer = await plugin.openWriter(await contextFor(mapping));
    expect(await readdir(root)).toEqual([]);
    await writer.abort();
  });
});

test('a destination without the room is refused, with the bytes it has and needs', async () => {
  const plan = [{ path: 'base/5/16384', sizeBytes: 2 ** 50 }];
  const opening = plugin.openWriter(await contextFor([], { plan, info: { tablespaces: [] } }));
  await expect(opening).rejects.toMatchObject({
    code: 'FORMAT_NO_SPACE',
    message: expect.stringMatching(/has \d+\.\d MiB free; the snapshot needs about 10737418\d\d\.\d MiB/),
  });
  expect(await readdir(root)).toEqual([]);
});

test('a major that is not supported is refused, naming those that are', async () => {
  const opening = plugin.openWriter(await contextFor([], { info: { postgresMajor: 13, tablespaces: [] } }));
  await expect(opening).rejects.toMatchObject({
    code: 'FORMAT_UNSUPPORTED',
    message: expect.stringMatching(/14.*18/),
  });
});

import type { SnapshotEntry, SnapshotReader } from '@neon-snapshot/format-core';
import { BLCKSZ, CLUSTER_STATE, lsn, RELSEG_BLOCKS } from '@neon-snapshot/postgres';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { memoryServices, readContext, readStorage } from './testing/contexts.ts';
import {
  makePages,
  makeRelationMap,
  makeTinyCluster,
  type TinyClusterOptions,
} from './testing/tiny-cluster.ts';

async function openTiny(cluster: TinyClusterOptions = {}, options = {}): Promise<SnapshotReader> {
  const { storage } = await makeTinyCluster(cluster);
  return plugin.openReader(readContext({ storage, options }));
}

interface Read {
  readonly entries: SnapshotEntry[];
  readonly contents: Map<string, Buffer>;
  readonly chunkSizes: Map<string, number[]>;
}

async function readAllPartitions(reader: SnapshotReader, countMax: number): Promise<Read[]> {
  const read = async (partition: { readonly entries: AsyncIterable<SnapshotEntry> }): Promise<Read> => {
    const result: Read = { entries: [], contents: new Map(), chunkSizes: new Map() };
    for await (const entry of partition.entries) {
      result.entries.push(entry);
      if (entry.kind !== 'file') continue;
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry.body) chunks.push(chunk);
      result.contents.set(entry.path, Buffer.concat(chunks));
      result.chunkSizes.set(
        entry.path,
        chunks.map((chunk) => chunk.length),
      );
    }
    return result;
  };
  return Promise.all(reader.partitions(countMax).map(read));
}

describe('a cleanly stopped directory', () => {
  test('is described by its pg_control and its shutdown checkpoint', async () => {
    const cluster = await makeTinyCluster();
    await using reader = await plugin.openReader(readContext({ storage: cluster.storage }));
    const { bytesTotal, ...info } = reader.info;
    expect(info).toEqual({
      systemIdentifier: 7710864959956258265n,
      postgresMajor: 17,
      catalogVersion: 202406281,
      lsn: cluster.recordEnd,
      previousRecordLsn: cluster.recordStart,
      timeLineId: 1,
      dataChecksums: true,
      consistency: { kind: 'consistent' },
      walSegmentSizeBytes: 1048576,
      blockSizeBytes: 8192,
      tablespaces: [{ oid: 16500, location: 'pg_tblspc/16500' }],
      features: { replicationSlots: ['slot_a', 'slot_b'], commitTimestamps: false, statistics: false },
    });
    expect(bytesTotal).toBe(reader.plan?.reduce((sum, file) => sum + file.sizeBytes, 0));
  });

  test('gives its files in canonical order, without what BASE_BACKUP leaves out', async () => {
    await using reader = await openTiny();
    expect(reader.plan?.map(({ path }) => path)).toEqual([
      'base/5/1259',
      'base/5/1259_fsm',
      'base/5/1259_vm',
      'base/5/16400',
      'base/5/16401',
      'base/5/16402_init',
      'global/1260',
      'pg_tblspc/16500/PG_17_202406281/5/16600',
      'pg_xact/0000',
      'PG_VERSION',
      'base/1/PG_VERSION',
      'base/1/pg_filenode.map',
      'base/5/PG_VERSION',
      'base/5/pg_filenode.map',
      'global/pg_filenode.map',
      'pg_wal/000000010000000000000003',
      'postgresql.conf',
    ]);
  });

  test.each([1, 2, 3, 8])(
    'read in up to %i partitions, every file comes once, with its bytes',
    async (countMax) => {
      const { storage } = await makeTinyCluster();
      await using reader = await plugin.openReader(readContext({ storage }));
      const parts = await readAllPartitions(reader, countMax);
      expect(parts.length).toBeLessThanOrEqual(countMax);
      const paths = parts.flatMap(({ contents }) => [...contents.keys()]);
      expect(paths).toEqual(reader.plan?.map(({ path }) => path));
      const source = await readStorage(storage);
      for (const { contents } of parts) {
        for (const [path, bytes] of contents) expect(source.get(path)?.equals(bytes)).toBe(true);
      }
      const { controlFile } = await reader.finish();
      expect(source.get('global/pg_control')?.equals(controlFile)).toBe(true);
    },
  );

  test('directories and links come first, parents before children, and each partition counts what it gave', async () => {
    await using reader = await openTiny();
    const [first, second] = await readAllPartitions(reader, 2);
    const directories = first?.entries.filter(({ kind }) => kind === 'directory') ?? [];
    expect(first?.entries.slice(0, directories.length)).toEqual(directories);
    const paths = directories.map((entry) => (entry.kind === 'directory' ? entry.path : ''));
    expect(paths).toEqual(paths.toSorted());
    expect(paths).toContain('pg_wal/summaries');
    expect(paths).toContain('pg_tblspc/16500/PG_17_202406281/5');
    expect(paths).not.toContain('base/pgsql_tmp');
    expect(second?.entries.at(-1)).toMatchObject({ kind: 'end', directories: 0, links: 0 });
  });

  test('relation bodies are whole pages in chunks of at most 1 MiB', async () => {
    await using reader = await openTiny();
    const [part] = await readAllPartitions(reader, 1);
    for (const [path, sizes] of part?.chunkSizes ?? []) {
      if (!/^(base|global|pg_tblspc)\/.*\d$/.test(path)) continue;
      for (const size of sizes) expect([path, size % BLCKSZ, size <= 1024 * 1024]).toEqual([path, 0, true]);
    }
  });

  test('keeps the segment after, where the checkpoint record crosses into it', async () => {
    await using reader = await openTiny({ walEnd: lsn(0x3ffff0n - 0x30n) });
    const wal = reader.plan?.filter(({ path }) => path.startsWith('pg_wal/')).map(({ path }) => path);
    expect(wal).toEqual(['pg_wal/000000010000000000000003', 'pg_wal/000000010000000000000004']);
  });
});

test('A directory with a backup_label is a base backup: it brings its WAL, and says from where', async () => {
  const label =
    'START WAL LOCATION: 0/300028 (file 000000010000000000000003)\nCHECKPOINT LOCATION: 0/300060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-22 05:38:51 UTC\nLABEL: test\nSTART TIMELINE: 1\n';
  const files = { backup_label: label, 'base/5/16600.1': new Uint8Array(BLCKSZ) };
  const { storage } = await makeTinyCluster({ files, state: CLUSTER_STATE.inProduction });
  await storage.delete(['backup_manifest']);
  await using reader = await plugin.openReader(readContext({ storage }));
  expect(reader.info).toMatchObject({
    lsn: lsn(0x300028n),
    consistency: { kind: 'needs-wal', fromLsn: lsn(0x300028n) },
  });
  const [read] = await readAllPartitions(reader, 1);
  const paths = [...(read?.contents.keys() ?? [])];
  expect(paths).not.toContain('backup_label');
  // Segments that do not fit together are what growth leaves meanwhile.
  expect(paths).toContain('base/5/16600.1');
  expect(paths.filter((path) => path.startsWith('pg_wal/'))).toEqual(['pg_wal/000000010000000000000003']);
  const { backup } = await reader.finish();
  expect(new TextDecoder().decode(backup?.label)).toBe(label);
  expect(backup?.walRanges).toEqual([{ timeLineId: 1, startLsn: 0x300028n, endLsn: 0x300060n }]);
});

describe('a directory that is no snapshot', () => {
  const cases: [string, string, RegExp, TinyClusterOptions][] = [
    [
      'a server runs on',
      'FORMAT_RUNNING',
      /postmaster.pid.*stop it/,
      { files: { 'postmaster.pid': '77\n' } },
    ],
    [
      'was in production',
      'FORMAT_NOT_SHUT_DOWN',
      /"in production".*--recover/,
      { state: CLUSTER_STATE.inProduction },
    ],
    ['was a standby', 'FORMAT_NOT_SHUT_DOWN', /standby/, { state: CLUSTER_STATE.shutDownInRecovery }],
    ['has a damaged backup_label', 'FORMAT_TRUNCATED', /backup_label/, { files: { backup_label: 'x' } }],
    ['is of another version', 'FORMAT_INVALID', /says "16".*Postgres 17/, { files: { PG_VERSION: '16\n' } }],
    [
      'has half a pg_control',
      'FORMAT_TRUNCATED',
      /pg_control/,
      { files: { 'global/pg_control': new Uint8Array(100) } },
    ],
  ];
  test.each(cases)('because it %s: %s', async (_, code, message, cluster) => {
    await expect(openTiny(cluster)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test.each([
    ['a CRC', 288, 'FORMAT_CHECKSUM'],
    ['a field', 64, 'FORMAT_CHECKSUM'],
    ['the version', 8, 'FORMAT_UNKNOWN_VERSION'],
  ])('because a bit of %s of pg_control is flipped: %s', async (_, offset, code) => {
    const { storage } = await makeTinyCluster();
    const control = (await readStorage(storage)).get('global/pg_control') ?? Buffer.alloc(0);
    control[offset] = (control[offset] ?? 0) ^ 4;
    await storage.put('global/pg_control', control);
    await expect(plugin.openReader(readContext({ storage }))).rejects.toMatchObject({ code });
  });

  test('because it is another thing: FORMAT_NOT_FOUND, and detect says what is missing', async () => {
    const { storage } = await makeTinyCluster();
    expect(await plugin.detect(storage)).toMatchObject({ found: true });
    await storage.delete(['global/pg_control']);
    await expect(plugin.openReader(readContext({ storage }))).rejects.toMatchObject({
      code: 'FORMAT_NOT_FOUND',
    });
    expect(await plugin.detect(storage)).toEqual({ found: false, reason: 'there is no global/pg_control' });
  });

  test('because the segment of its checkpoint is missing, short or another', async () => {
    const { storage, walPath } = await makeTinyCluster();
    const open = () => plugin.openReader(readContext({ storage }));
    await storage.put(walPath, new Uint8Array(1048576));
    await expect(open()).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    await storage.put(walPath, new Uint8Array(8192));
    await expect(open()).rejects.toMatchObject({
      code: 'FORMAT_TRUNCATED',
      message: expect.stringContaining(walPath),
    });
    await storage.delete([walPath]);
    await expect(open()).rejects.toMatchObject({ code: 'FORMAT_TRUNCATED' });
  });

  const flipped = makeRelationMap(17, [1259]);
  flipped[8] = 0x11;
  test.each([
    ['is damaged', flipped, 'FORMAT_CHECKSUM', /base\/5\/pg_filenode\.map in .*CRC/],
    ['is cut', makeRelationMap(17, [1259]).subarray(0, 500), 'FORMAT_TRUNCATED', /500 bytes; expected 524/],
    [
      'names a catalog that is not there',
      makeRelationMap(17, [1259, 1249]),
      'FORMAT_TRUNCATED',
      /base\/5\/1249 is missing/,
    ],
  ])('because a relation map %s', async (_, map, code, message) => {
    const opening = openTiny({ files: { 'base/5/pg_filenode.map': map } });
    await expect(opening).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('because it is recovered by nobody here', async () => {
    await expect(openTiny({ state: CLUSTER_STATE.inProduction }, { recover: true })).rejects.toMatchObject({
      code: 'FORMAT_NOT_SHUT_DOWN',
    });
  });
});

test('A directory that an interrupted CREATE DATABASE left comes along with a warning', async () => {
  const { storage } = await makeTinyCluster({ files: { 'base/16999/PG_VERSION': '17\n' } });
  const { services, warnings } = memoryServices();
  await using reader = await plugin.openReader(readContext({ storage, services }));
  expect(warnings).toEqual([expect.stringMatching(/^base\/16999 in .* has no pg_filenode\.map/)]);
  expect(reader.plan?.map(({ path }) => path)).toContain('base/16999/PG_VERSION');
});

describe('relation files', () => {
  const segmentBytes = RELSEG_BLOCKS * BLCKSZ;

  test('that are no whole number of pages are truncated', async () => {
    const files = { 'base/5/1259': new Uint8Array(8192 + 100) };
    await expect(openTiny({ files })).rejects.toMatchObject({
      code: 'FORMAT_TRUNCATED',
      message: expect.stringMatching(/base\/5\/1259 has 8292 bytes/),
    });
  });

  test('that miss a segment are truncated, an empty segment after a partial one is not', async () => {
    await expect(openTiny({ files: { 'base/5/1259.2': makePages(1, { seed: 1 }) } })).rejects.toMatchObject({
      code: 'FORMAT_TRUNCATED',
      message: expect.stringMatching(/1259\.2 is there, but segment 1 is missing/),
    });
    await expect(openTiny({ files: { 'base/5/1259.1': makePages(1, { seed: 1 }) } })).rejects.toMatchObject({
      code: 'FORMAT_TRUNCATED',
      message: expect.stringMatching(/1259\.1 has data, but the segment before it is not full/),
    });
    await using reader = await openTiny({ files: { 'base/5/1259.1': new Uint8Array(0) } });
    expect(reader.plan?.some(({ path }) => path === 'base/5/1259.1')).toBe(true);
    expect(segmentBytes).toBe(2 ** 30);
  });

  test('with a corrupt page end the reading, naming file, block, expected and found', async () => {
    const pages = makePages(200, { seed: 5 });
    const view = new DataView(pages.buffer);
    const stored = view.getUint16(150 * BLCKSZ + 8, true);
    pages[150 * BLCKSZ + 4000] = (pages[150 * BLCKSZ + 4000] ?? 0) ^ 1;
    await using reader = await openTiny({ files: { 'base/5/16400': pages } });
    const error: unknown = await readAllPartitions(reader, 1).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'FORMAT_CORRUPT_PAGE',
      context: { path: 'base/5/16400', blockNumber: 150, found: stored },
    });
    expect(error).not.toMatchObject({ context: { expected: stored } });
  });

  test('with corrupt pages are taken with warnings where page errors are ignored', async () => {
    const files = { 'base/5/1259': makePages(5, { seed: 2, segno: 1 }) };
    const { storage } = await makeTinyCluster({ files });
    const { services, warnings } = memoryServices();
    const options = { ignore_page_errors: true };
    await using reader = await plugin.openReader(readContext({ storage, services, options }));
    const [part] = await readAllPartitions(reader, 1);
    expect(part?.contents.get('base/5/1259')?.equals(files['base/5/1259'])).toBe(true);
    expect(warnings).toHaveLength(5);
    expect(warnings[0]).toMatch(/corrupt page in base\/5\/1259, block 0/);
  });

  test.each([
    ['the cluster has no checksums', { dataChecksums: false }, {}, {}],
    ['verify_checksums is off', {}, { verify_checksums: false }, {}],
    ['the writer verifies them', {}, {}, { pagesVerifiedDownstream: true }],
  ])('are not verified where %s', async (_, cluster, options, further) => {
    const files = { 'base/5/1259': makePages(5, { seed: 2, segno: 1 }) };
    const { storage } = await makeTinyCluster({ ...cluster, files });
    await using reader = await plugin.openReader({ ...readContext({ storage, options }), ...further });
    await readAllPartitions(reader, 1);
  });

  test.each([
    ['shrinks', makePages(3, { seed: 2 })],
    ['grows', makePages(6, { seed: 2 })],
    ['is gone', undefined],
  ])('that %s while they are read make a truncated snapshot', async (_, pages) => {
    const { storage } = await makeTinyCluster();
    await using reader = await plugin.openReader(readContext({ storage }));
    if (pages === undefined) await storage.delete(['base/5/1259']);
    else await storage.put('base/5/1259', pages);
    await expect(readAllPartitions(reader, 1)).rejects.toMatchObject({
      code: 'FORMAT_TRUNCATED',
      message: expect.stringMatching(/base\/5\/1259 changed while it was read/),
    });
  });

  test('of a directory on which a server started meanwhile are not finished', async () => {
    const { storage } = await makeTinyCluster();
    await using reader = await plugin.openReader(readContext({ storage }));
    await readAllPartitions(reader, 1);
    await storage.put('postmaster.pid', new TextEncoder().encode('1\n'));
    await expect(reader.finish()).rejects.toMatchObject({ code: 'FORMAT_RUNNING' });
  });
});

test('an option that is misspelt is refused', async () => {
  await expect(openTiny({}, { recovr: true })).rejects.toMatchObject({ code: 'FORMAT_OPTION' });
});

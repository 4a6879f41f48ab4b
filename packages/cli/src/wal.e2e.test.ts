import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compress } from '@neon-snapshot/archive';
import { makeTestCluster, type TestCluster } from '@neon-snapshot/cluster-testkit';
import {
  CHECKPOINT_KEY,
  DeltaLayerBuilder,
  encodeIndexPart,
  encodeValue,
  KEY_MAX,
  KEY_MIN,
  relBlockKey,
} from '@neon-snapshot/neon-layer';
import { encodeWalRecord, lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, type Workspace } from './testing/workspace.ts';

const WALDUMP = '/usr/lib/postgresql/15/bin/pg_waldump';
const hasWaldump = existsSync(WALDUMP) || process.env.CI === 'true';

type Json = Record<string, unknown>;

let workspace: Workspace;
let cluster: TestCluster;
let directory = '';
/** Names of the segments with WAL, in order. */
let segments: string[] = [];

beforeAll(async () => {
  workspace = await openWorkspace();
  cluster = await makeTestCluster({ major: 15 });
  directory = path.join(cluster.dataDirectory, 'pg_wal');
  segments = (await readdir(directory)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

async function show(...words: readonly string[]): Promise<Json & { readonly records: readonly Json[] }> {
  return (await workspace.result(['wal', 'show', ...words])) as Json & { records: Json[] };
}

/** Everything that `pg_waldump` prints; it calls the end of WAL an error. */
function waldump(...words: readonly string[]): Promise<string> {
  const options = { maxBuffer: 256 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile(WALDUMP, ['-p', directory, ...words, segments[0] ?? ''], options, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

describe.runIf(hasWaldump)('wal show beside pg_waldump 15 (skipped where it is not installed)', () => {
  it('prints the same records, block references and names', async () => {
    const ours = await workspace.neon(['wal', 'show', `${directory}/`]);
    const theirs = (await waldump()).trimEnd().split('\n');
    // What only the resource manager can say is left out here: all between the name and the block references.
    const common = (line: string) =>
      /^(rmgr: .*, desc: )(\S+?)(?: .*?)??((?:, blkref #\d+: rel \d+\/\d+\/\d+(?: fork \w+)? blk \d+(?: FPW)?)*)$/
        .exec(line)
        ?.slice(1)
        .join('');
    const found = ours.stdout.trimEnd().split('\n').slice(0, -1).map(common);
    expect(found).toHaveLength(theirs.length);
    expect(found.length).toBeGreaterThan(5000);
    expect(found).toEqual(theirs.map(common));
  });

  it('counts the same numbers and bytes for each type of record', async () => {
    const { statistics, total } = await show(`${directory}/`, '--stats');
    const theirs = [
      ...(await waldump('--stats=record')).matchAll(
        /^(\w+)\/(\S+) +(\d+) \([^)]+\) +(\d+) \([^)]+\) +(\d+) /gm,
      ),
    ].map(([, resourceManager, record, count, recordBytes, imageBytes]) => ({
      resourceManager,
      record,
      count: Number(count),
      recordBytes: Number(recordBytes),
      imageBytes: Number(imageBytes),
    }));
    const byName = (a: Json, b: Json) =>
      `${a.resourceManager}/${a.record}` < `${b.resourceManager}/${b.record}` ? -1 : 1;
    expect((statistics as Json[]).toSorted(byName)).toEqual(theirs.toSorted(byName));
    expect((total as Json).count).toBe(theirs.reduce((sum, { count }) => sum + count, 0));
  });
});

describe('wal show of segments', () => {
  it('shows a record with its place, type, transaction and block references', async () => {
    const { records } = await show(`${directory}/`, '--rmgr=heap', '--limit=1');
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      resourceManager: 'Heap',
      lsn: expect.stringMatching(/^0\/[0-9A-F]+$/),
      previous: expect.stringMatching(/^0\/[0-9A-F]+$/),
      blocks: [{ id: 0, relation: expect.stringMatching(/^\d+\/\d+\/\d+$/), fork: 'main' }],
    });
  });

  it('goes over the border between segments, and says where and why WAL ends', async () => {
    const { records, ends, complete } = await show(`${directory}/`);
    expect(complete).toBe(true);
    expect(ends).toMatchObject([{ timeLineId: 1, lsn: records.at(-1)?.endLsn }]);
    for (const [index, record] of records.entries())
      if (index > 0) expect(record.previous).toBe(records[index - 1]?.lsn);
    const last = records.at(-1);
    expect(last).toMatchObject({ record: 'CHECKPOINT_SHUTDOWN' });
  });

  it('begins and ends anywhere, inside of a record too', async () => {
    const { records } = await show(`${directory}/`);
    const [first, second, last] = [records[3000], records[3001], records[3010]];
    const inside = `0/${(Number.parseInt(String(first?.lsn).slice(2), 16) + 5).toString(16)}`;
    const part = await show(`${directory}/`, `--start=${inside}`, `--end=${last?.lsn}`);
    expect(part.records).toEqual(records.slice(3001, 3010));
    expect(part.records[0]).toEqual(second);
    expect(part.complete).toBe(true);
  });

  it('cuts at the limit and says so', async () => {
    const human = await workspace.neon(['wal', 'show', directory, '--limit=2']);
    expect(human.stdout.trimEnd().split('\n')).toHaveLength(3);
    expect(human.stdout).toContain('… more records (--limit=2)');
    expect(await show(directory, '--limit=2')).toMatchObject({ complete: false, records: { length: 2 } });
  });

  it.each([
    ['gzip', 'gz'],
    ['lz4', 'lz4'],
    ['zstd', 'zst'],
  ] as const)('reads a segment that is compressed with %s', async (kind, extension) => {
    const name = segments[0] ?? '';
    const bytes = await readFile(path.join(directory, name));
    const file = await open(workspace.path(`${name}.${extension}`), 'w');
    const source = (async function* () {
      yield bytes;
    })();
    for await (const chunk of compress(source, kind)) await file.write(chunk);
    await file.close();
    const packed = await show(`${name}.${extension}`, '--stats');
    const plain = await show(path.join(directory, name), '--stats');
    expect(packed.statistics).toEqual(plain.statistics);
  });

  it('takes several segments in any order, and reads each run without gaps by itself', async () => {
    await mkdir(workspace.path('gap'), { recursive: true });
    const bytes = await readFile(path.join(directory, segments[0] ?? ''));
    const own = workspace.path('gap/000000010000000000000001');
    await writeFile(own, bytes.subarray(0, 2 * 1024 * 1024));
    const { ends } = await show(own, path.join(directory, segments.at(-1) ?? ''));
    expect((ends as Json[]).map(({ reason }) => reason)).toContain('no-segment');
  });

  it('ends its JSON with the error where WAL is damaged in the middle', async () => {
    const bytes = await readFile(path.join(directory, segments[0] ?? ''));
    const { records } = await show(`${directory}/`, '--limit=1000');
    const damaged = Number.parseInt(String(records.at(-1)?.lsn).slice(2), 16) % bytes.length;
    bytes[damaged + 20] = (bytes[damaged + 20] ?? 0) ^ 1;
    await mkdir(workspace.path('damaged'), { recursive: true });
    await writeFile(workspace.path(`damaged/${segments[0]}`), bytes);
    const outcome = await workspace.neon(['wal', 'show', 'damaged', '--json']);
    expect(outcome.exitCode).toBe(3);
    expect(outcome.json()).toMatchObject({
      version: 1,
      command: 'wal show',
      records: { length: 999 },
      error: { code: 'POSTGRES_WAL_CORRUPT', exitCode: 3 },
    });
  });

  it.each([
    [['nowhere'], 'STORAGE_BUCKET_NOT_FOUND'],
    [['wal.txt'], 'CLI_UNKNOWN_FILE'],
    [['.', '--start=12'], 'CLI_USAGE'],
    [['.', '--start=0/2000', '--end=0/1000'], 'CLI_USAGE'],
    [['.', '--rmgr=heaps'], 'CLI_USAGE'],
    [[], 'CLI_USAGE'],
  ])('refuses %j with %s', async (words, code) => {
    await writeFile(workspace.path('wal.txt'), 'no WAL');
    const outcome = await workspace.neon(['wal', 'show', ...words, '--json']);
    expect(outcome.json().error).toMatchObject({ code });
  });
});

describe('wal show of a delta layer', () => {
  const ids = { tenantId: '11'.repeat(16), timelineId: '22'.repeat(16) };
  const block = relBlockKey({ spcNode: 1663, dbNode: 5, relNode: 16384, forkNum: 0 }, 7);
  const record = encodeWalRecord(
    { xid: 731, previous: lsn(0x1000000n), info: 0x10, resourceManager: 9 },
    // Block 0 without image or data, main data of one byte.
    Uint8Array.of(0, 0, 0, 0, ...u32(1663), ...u32(5), ...u32(16384), ...u32(7), 255, 1, 0xaa),
  );

  beforeAll(async () => {
    const builder = new DeltaLayerBuilder({ ...ids, keyStart: KEY_MIN, lsnStart: lsn(0x1000000n) });
    const value = { kind: 'record', record: { kind: 'postgres', willInit: false, record } } as const;
    builder.append({ key: block, lsn: lsn(0x1000100n), value: encodeValue(value), willInit: false });
    const image = encodeValue({ kind: 'image', image: new Uint8Array(88) });
    builder.append({ key: CHECKPOINT_KEY, lsn: lsn(0x1000200n), value: image, willInit: true });
    const layer = builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(0x1000300n) });
    await mkdir(workspace.path('timeline'), { recursive: true });
    await mkdir(workspace.path('alone'), { recursive: true });
    for (const directory of ['timeline', 'alone'])
      await writeFile(workspace.path(`${directory}/${layer.name}-00000001`), Buffer.concat(layer.chunks));
    const metadata = {
      diskConsistentLsn: lsn(0x1000300n),
      ancestorLsn: ZERO_LSN,
      latestGcCutoffLsn: ZERO_LSN,
      initdbLsn: ZERO_LSN,
      postgresMajor: 16,
    };
    await writeFile(
      workspace.path('timeline/index_part.json-00000001'),
      encodeIndexPart({ layers: new Map(), diskConsistentLsn: metadata.diskConsistentLsn, metadata }),
    );
  });

  it('shows each value with its key and the LSN at which it is kept, named as in the major of the index', async () => {
    const { records } = await show('timeline');
    expect(records).toMatchObject([
      {
        lsn: null,
        endLsn: '0/1000100',
        previous: '0/1000000',
        resourceManager: 'Heap2',
        record: 'PRUNE',
        xid: 731,
        blocks: [{ relation: '1663/5/16384', blockNumber: 7 }],
        keyMeaning: 'block 7 of relation 1663/5/16384 fork 0',
        willInit: false,
      },
      { resourceManager: 'Neon', record: 'image', endLsn: '0/1000200', willInit: true },
    ]);
  });

  it('needs the major where there is no index, and takes it from a flag', async () => {
    const refused = await workspace.neon(['wal', 'show', 'alone', '--json']);
    expect(refused.json().error).toMatchObject({ code: 'CLI_USAGE', exitCode: 2 });
    const { records } = await show('alone', '--pg_version=17', '--rmgr=Heap2');
    expect(records).toMatchObject([{ record: 'PRUNE_ON_ACCESS' }]);
  });
});

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

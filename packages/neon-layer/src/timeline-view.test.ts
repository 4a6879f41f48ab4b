import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { lsn, parseLsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { describe, expect, it } from 'vitest';
import { bytesToHex } from './bytes.ts';
import { parseTenantShardId } from './identifiers.ts';
import {
  compareKeys,
  KEY_MAX,
  KEY_MIN,
  keyFromHex,
  keyToHex,
  relBlockKey,
  SPARSE_KEYS_START,
} from './key.ts';
import { isRelationBlockKey, parseKey } from './key-kind.ts';
import type { KeyRange } from './key-range.ts';
import { createPageDecompressor } from './page-decompressor.ts';
import { isLocalKey, shardOfKey } from './shard.ts';
import {
  FIXTURE_DIRECTORY,
  HAS_SAMPLES,
  readListing,
  SAMPLES_NOTE,
  sampleDirectory,
} from './testing/samples.ts';
import { openTimelineView, type TimelineView } from './timeline-view.ts';

const FIXTURE = {
  tenant: '17101010101010101010101010101010',
  timelineId: '17404040404040404040404040404040',
} as const;
const DENSE: KeyRange = { start: KEY_MIN, end: SPARSE_KEYS_START };

/** Key, length, start of the sha256: what a page server's listing of values says. */
type Row = readonly [string, string, string];

const rowOf = (key: Uint8Array, value: Uint8Array): Row => [
  keyToHex(key),
  String(value.length),
  createHash('sha256').update(value).digest('hex').slice(0, 32),
];

async function scannedRows(view: TimelineView, range: KeyRange): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const entries of view.scan(range))
    rows.push(...entries.map(({ key, value }) => rowOf(key, value)));
  return rows;
}

/** Rows of the relation pages, by batches. */
async function pageRows(view: TimelineView, range: KeyRange): Promise<readonly Row[]> {
  const decompressor = createPageDecompressor();
  const rows: Row[] = [];
  for await (const batch of view.readPages(range)) {
    const out = new Uint8Array(batch.pageCount * 8192);
    decompressor.decodePages({ ...batch, out });
    for (const { tag, pageStart, pageEnd } of batch.runs) {
      for (let i = pageStart; i < pageEnd; i += 1) {
        const page = out.subarray(i * 8192, (i + 1) * 8192);
        rows.push(rowOf(relBlockKey(tag, batch.blockNumbers[i] ?? 0), page));
      }
    }
  }
  return rows;
}

/** A block of the same relation that no relation here has. */
function relBlockKeyBehind(key: Uint8Array): Uint8Array {
  const behind = Uint8Array.from(key);
  behind[14] = 0x7f;
  return behind;
}

async function withStorage<T>(directory: string, use: (storage: Storage) => Promise<T>): Promise<T> {
  await using storage = await openFsStorage({ rootPath: directory });
  return use(storage);
}

describe('a timeline of a real page server', () => {
  const expected = readListing(`${FIXTURE_DIRECTORY}expected/values.tsv.gz`);
  const storagePath = `${FIXTURE_DIRECTORY}storage`;

  it('scans to every value that the page server returned', async () => {
    const rows = await withStorage(storagePath, async (storage) =>
      scannedRows(await openTimelineView(storage, FIXTURE), DENSE),
    );
    expect(rows.length).toBe(expected.length);
    expect(rows).toEqual(expected);
  });

  it('gives its relation pages in batches, and nothing else', async () => {
    const rows = await withStorage(storagePath, async (storage) =>
      pageRows(await openTimelineView(storage, FIXTURE), { start: KEY_MIN, end: KEY_MAX }),
    );
    expect(rows).toEqual(expected.filter(([key]) => isRelationBlockKey(keyFromHex(key ?? ''))));
  });

  it('answers single keys, known and unknown', async () => {
    await withStorage(storagePath, async (storage) => {
      const view = await openTimelineView(storage, FIXTURE);
      for (const [hex = '', length, digest] of expected.filter((_, i) => i % 97 === 0)) {
        const value = await view.get(keyFromHex(hex));
        expect(rowOf(keyFromHex(hex), value ?? new Uint8Array())).toEqual([hex, length, digest]);
      }
      expect(await view.get(keyFromHex('000000067F0000000500000A8C0000FFFFFF'))).toBeUndefined();
      expect(await view.get(keyFromHex('620000000000000000000000000000000000'))).toBeUndefined();
    });
  });

  it('answers many keys by one walk, known and unknown, and refuses keys out of order', async () => {
    await withStorage(storagePath, async (storage) => {
      const view = await openTimelineView(storage, FIXTURE);
      const known = expected.filter((_, i) => i % 7 === 0).map(([hex = '']) => keyFromHex(hex));
      const unknown = known.flatMap((key) => (isRelationBlockKey(key) ? [relBlockKeyBehind(key)] : []));
      const keys = [...known, ...unknown].sort(compareKeys);
      const values = await view.getMany(keys);
      expect(values.length).toBe(keys.length);
      const rows = keys.flatMap((key, i) => (values[i] === undefined ? [] : [rowOf(key, values[i])]));
      expect(rows).toEqual(expected.filter((_, i) => i % 7 === 0));
      expect(await view.getMany([])).toEqual([]);
      await expect(view.getMany([KEY_MAX, KEY_MIN])).rejects.toMatchObject({
        code: 'NEON_LAYER_INVALID_ARGUMENT',
      });
    });
  });

  it('may be read from its first to its last LSN only', async () => {
    await withStorage(storagePath, async (storage) => {
      const view = await openTimelineView(storage, FIXTURE);
      expect(view.lsn).toBe(parseLsn('0/14D8AB0'));
      const refusal = expect.objectContaining({ code: 'NEON_LAYER_LSN_OUT_OF_RANGE' });
      expect(() => view.at(lsn(view.lsn + 8n))).toThrow(refusal);
      expect(() => view.at(parseLsn('0/14D8A30'))).toThrow(refusal);
      const older = view.at(parseLsn('0/14D8A38'));
      const checkpoint = keyFromHex('030000000000000000000000000000000001');
      expect(bytesToHex((await older.get(checkpoint)) ?? new Uint8Array()).slice(0, 16)).toBe(
        '388a4d0100000000',
      );
      expect(bytesToHex((await view.get(checkpoint)) ?? new Uint8Array()).slice(0, 16)).toBe(
        'b08a4d0100000000',
      );
    });
  });
});

/** Timeline, LSN and listing of every point that the samples list. */
const POINTS = [
  { sample: 'pg14', timeline: 'main', phase: 'base' },
  { sample: 'pg15', timeline: 'main', phase: 'base' },
  { sample: 'pg15', timeline: 'bootstrap', phase: '' },
  { sample: 'pg16', timeline: 'main', phase: 'base' },
  { sample: 'pg16', timeline: 'main', phase: 'p1' },
  { sample: 'pg16', timeline: 'main', phase: 'p2' },
  { sample: 'pg16', timeline: 'main', phase: 'p3' },
  { sample: 'pg16', timeline: 'branch', phase: 'p2' },
  { sample: 'pg17', timeline: 'main', phase: 'base' },
  { sample: 'pg17', timeline: 'main', phase: 'p1' },
  { sample: 'pg17', timeline: 'main', phase: 'p2' },
  { sample: 'pg17', timeline: 'main', phase: 'p3' },
  { sample: 'pg17', timeline: 'branch', phase: 'p2' },
  { sample: 'pg17', timeline: 'bootstrap', phase: '' },
] as const;

/** Stands for a value that redo would make. */
const REDONE = new Uint8Array(8192).fill(0xee);

describe.runIf(HAS_SAMPLES)(`timelines of the large samples${SAMPLES_NOTE}`, () => {
  it.each(POINTS)('hold what a page server says of $sample $timeline $phase', async (point) => {
    const directory = sampleDirectory(point.sample);
    const facts = JSON.parse(readFileSync(`${directory}expected.json`, 'utf8'));
    const at = facts.phases.find(({ name }: { name: string }) => name === point.phase)?.lsn;
    const listing = `values-${point.timeline}${point.phase === '' ? '' : `-${point.phase}`}`;
    const expected = readListing(`${directory}expected/${listing}.tsv.gz`);
    await withStorage(`${directory}storage`, async (storage) => {
      const view = await openTimelineView(storage, {
        tenant: facts.tenant,
        timelineId: facts.timelines[point.timeline],
        ...(at === undefined ? {} : { lsn: parseLsn(at) }),
        redo: async () => REDONE,
      });
      const found = new Map((await scannedRows(view, DENSE)).map((row) => [row[0], row]));
      const redone = rowOf(KEY_MIN, REDONE)[2];
      const isRedone = (key: string) => found.get(key)?.[2] === redone;
      // Blocks of dropped relations stay in the layers and are not listed: what is listed must be there.
      const known = expected.filter(([key = '']) => !isRedone(key));
      expect(known.map(([key = '']) => found.get(key))).toEqual(known);
      // Only relation pages, commit log and multixact pages come from records.
      const kinds = new Set(
        expected.filter(([key = '']) => isRedone(key)).map(([key = '']) => parseKey(keyFromHex(key)).kind),
      );
      expect([...kinds].every((kind) => kind === 'relation-block' || kind === 'slru-block')).toBe(true);
      expect(kinds.size > 0).toBe(point.phase.startsWith('p'));
    });
  });

  it('ask for redo of a key by naming it, where none was given', async () => {
    const directory = sampleDirectory('pg17');
    const { tenant, timelines } = JSON.parse(readFileSync(`${directory}expected.json`, 'utf8'));
    await withStorage(`${directory}storage`, async (storage) => {
      const view = await openTimelineView(storage, { tenant, timelineId: timelines.branch });
      const refusal = {
        code: 'NEON_LAYER_NEEDS_REDO',
        message: expect.stringMatching(
          /^The newest state of block 0 of relation 1663\/5\/16384 fork 0 is a WAL record at 0\//,
        ),
      };
      const key = relBlockKey({ spcNode: 1663, dbNode: 5, relNode: 16384, forkNum: 0 }, 0);
      await expect(view.get(key)).rejects.toMatchObject(refusal);
      await expect(scannedRows(view, DENSE)).rejects.toMatchObject({ code: 'NEON_LAYER_NEEDS_REDO' });
    });
  });

  it.each(['0002', '0102'])('of shard %s are read without the pages of the other', async (shard) => {
    const directory = sampleDirectory('pg16');
    const expected = readListing(`${directory}expected/values-shard-${shard}.tsv.gz`);
    const tenant = parseTenantShardId(`16606060606060606060606060606060-${shard}`);
    const sharding = { ...tenant.shard, stripeSize: 16 };
    await withStorage(`${directory}storage`, async (storage) => {
      const timelineId = '16707070707070707070707070707070';
      const view = await openTimelineView(storage, { tenant, timelineId, redo: async () => REDONE });
      const rows = await scannedRows(view, DENSE);
      expect(rows.every(([key]) => isLocalKey(keyFromHex(key), sharding))).toBe(true);
      const found = new Map(rows.map((row) => [row[0], row]));
      const redone = rowOf(KEY_MIN, REDONE)[2];
      const own = expected.filter(([key = '']) => {
        const bytes = keyFromHex(key);
        const isPage = isRelationBlockKey(bytes) && shardOfKey(bytes, sharding) === sharding.number;
        return (
          (isPage || sharding.number === 0) && isLocalKey(bytes, sharding) && found.get(key)?.[2] !== redone
        );
      });
      expect(own.length).toBeGreaterThan(1000);
      expect(own.map(([key = '']) => found.get(key))).toEqual(own);
    });
  });
});

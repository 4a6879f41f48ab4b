import { createHash } from 'node:crypto';
import { lsn, parseLsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { describe, expect, it } from 'vitest';
import { bytesToHex } from './bytes.ts';
import {
  compareKeys,
  KEY_MAX,
  KEY_MIN,
  keyFromHex,
  keyToHex,
  relBlockKey,
  SPARSE_KEYS_START,
} from './key.ts';
import { isRelationBlockKey } from './key-kind.ts';
import type { KeyRange } from './key-range.ts';
import { createPageDecompressor } from './page-decompressor.ts';
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

/** Timeline, LSN and listing of every point at which no WAL record has to be applied. */
const IMAGE_ONLY_POINTS = [
  { sample: 'pg14', tenant: '14101010101010101010101010101010', timeline: 'main', phase: 'base' },
  { sample: 'pg15', tenant: '15101010101010101010101010101010', timeline: 'main', phase: 'base' },
  { sample: 'pg15', tenant: '15101010101010101010101010101010', timeline: 'bootstrap', phase: '' },
  { sample: 'pg16', tenant: '16101010101010101010101010101010', timeline: 'main', phase: 'base' },
  { sample: 'pg17', tenant: '17101010101010101010101010101010', timeline: 'main', phase: 'base' },
  { sample: 'pg17', tenant: '17101010101010101010101010101010', timeline: 'bootstrap', phase: '' },
] as const;

describe.runIf(HAS_SAMPLES)(`timelines of the large samples${SAMPLES_NOTE}`, () => {
  it.each(IMAGE_ONLY_POINTS)('$sample $timeline $phase', async ({ sample, tenant, timeline, phase }) => {
    const directory = sampleDirectory(sample);
    const { timelines, phases } = JSON.parse(
      await import('node:fs').then(({ readFileSync }) => readFileSync(`${directory}expected.json`, 'utf8')),
    );
    const at = phases.find(({ name }: { name: string }) => name === phase)?.lsn;
    const expected = readListing(
      `${directory}expected/values-${timeline}${phase === '' ? '' : `-${phase}`}.tsv.gz`,
    );
    await withStorage(`${directory}storage`, async (storage) => {
      const view = await openTimelineView(storage, {
        tenant,
        timelineId: timelines[timeline],
        ...(at === undefined ? {} : { lsn: parseLsn(at) }),
      });
      const rows = await scannedRows(view, DENSE);
      expect(rows.length).toBe(expected.length);
      expect(rows).toEqual(expected);
      const sorted = rows.every(
        (row, i) => i === 0 || compareKeys(keyFromHex(rows[i - 1]?.[0] ?? ''), keyFromHex(row[0])) < 0,
      );
      expect(sorted).toBe(true);
    });
  });
});

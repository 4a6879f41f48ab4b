import {
  DBDIR_KEY,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSizeValue,
  decodeSlruSegmentDirectory,
  describeKey,
  parseKey,
  type RedoFunction,
  relDirKey,
  relSizeKey,
  SLRU_KINDS,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
} from '@neon-snapshot/neon-layer';
import type { Lsn, RelTag } from '@neon-snapshot/postgres';
import { applyNeonRecord, createRedoEngine, reconstructPage } from '@neon-snapshot/wal-redo';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HeapLayout } from './heap-layout.ts';
import { MemoryTimeline } from './memory-timeline.ts';
import { makeStockCluster, type StockCluster } from './testing/stock-cluster.ts';
import { runStockWorkload } from './testing/stock-workload.ts';
import type { TimelineState } from './timeline-state.ts';
import { WalIngest } from './wal-ingest.ts';

/*
 * The oracle is Postgres: what it left in its data directory after a workload, against what its WAL says of the
 * directory before.
 */

const FREE_SPACE_MAP = 1;
const BLOCK_SIZE = 8192;

interface RedoOptions {
  readonly major: number;
  readonly heapLayout: HeapLayout;
  /** Records as they were in WAL, to be taken in place of the stored ones. */
  readonly originals?: ReadonlyMap<Lsn, Uint8Array>;
}

function redoOf({ major, heapLayout, originals }: RedoOptions): RedoFunction {
  const engine = createRedoEngine({ major, heapLayout, hintBitsLogged: false });
  return async ({ parsedKey, base, records }) => {
    let page = base;
    for (const { lsn: endLsn, record } of records) {
      if (record.kind !== 'postgres') {
        page = applyNeonRecord(Uint8Array.from(page ?? new Uint8Array(BLOCK_SIZE)), record, endLsn);
      } else if (parsedKey.kind === 'relation-block') {
        const bytes = originals?.get(endLsn) ?? record.record;
        page = reconstructPage(engine, { ...parsedKey, base: page, records: [{ endLsn, bytes }] });
      }
    }
    return page ?? new Uint8Array(BLOCK_SIZE);
  };
}

interface Ingested {
  readonly cluster: StockCluster;
  readonly timeline: MemoryTimeline;
  readonly ingest: WalIngest;
  readonly originals: ReadonlyMap<Lsn, Uint8Array>;
}

async function ingestWorkload(major: number): Promise<Ingested> {
  const cluster = await makeStockCluster(major, runStockWorkload);
  const redo = redoOf({ major, heapLayout: 'neon' });
  const timeline = new MemoryTimeline({ base: cluster.before, redo });
  const ingest = await WalIngest.open({ major, heapLayout: 'stock', state: timeline, sink: timeline.apply });
  const originals = new Map<Lsn, Uint8Array>();
  for (const { bytes, end } of cluster.wal()) {
    originals.set(end, bytes);
    await ingest.ingest({ bytes, end });
  }
  return { cluster, timeline, ingest, originals };
}

async function requiredValue(state: TimelineState, key: Uint8Array): Promise<Uint8Array> {
  const value = await state.get(key);
  if (value === undefined) throw new Error(`no value of ${describeKey(key)}`);
  return value;
}

/** Databases, and relation forks with their sizes; the free space map is not kept by WAL. */
async function relationsOf(state: TimelineState): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { spcNode, dbNode } of decodeDbDirectory(await requiredValue(state, DBDIR_KEY))) {
    for (const entry of decodeRelDirectory(await requiredValue(state, relDirKey(spcNode, dbNode)))) {
      if (entry.forkNum === FREE_SPACE_MAP) continue;
      const size = decodeSizeValue(
        await requiredValue(state, relSizeKey({ spcNode, dbNode, ...entry } as RelTag)),
      );
      found.push(`${spcNode}/${dbNode}/${entry.relNode} fork ${entry.forkNum}: ${size}`);
    }
  }
  return found.toSorted();
}

async function slruPagesOf(state: TimelineState): Promise<ReadonlyMap<string, Uint8Array>> {
  const pages = new Map<string, Uint8Array>();
  for (const kind of SLRU_KINDS) {
    for (const segno of decodeSlruSegmentDirectory(await requiredValue(state, slruDirKey(kind)))) {
      const size = decodeSizeValue(await requiredValue(state, slruSizeKey(kind, segno)));
      for (let block = 0; block < size; block += 1) {
        const page = await requiredValue(state, slruBlockKey(kind, segno, block));
        pages.set(`${kind} ${segno} ${block}`, page.slice(0, BLOCK_SIZE));
      }
    }
  }
  return pages;
}

/** Newer minors write the offset of the multixact after the last one too; Neon does not. */
function withoutNextOffset(page: Uint8Array, nextMulti: number): Uint8Array {
  return Uint8Array.from(page).fill(0, nextMulti * 4, nextMulti * 4 + 4);
}

describe.each([14, 15, 16, 17])('WAL of a stock Postgres %i', (major) => {
  let ingested: Ingested;

  beforeAll(async () => {
    ingested = await ingestWorkload(major);
  }, 60_000);
  afterAll(() => ingested.cluster[Symbol.asyncDispose]());

  it('gives the databases, relations and sizes that Postgres has on disk', async () => {
    const { timeline, cluster } = ingested;
    expect(await relationsOf(timeline)).toEqual(await relationsOf(cluster.after));
    expect(await relationsOf(timeline)).not.toEqual(await relationsOf(cluster.before));
  });

  it('gives the commit log and the multixacts that Postgres has on disk', async () => {
    const { timeline, cluster } = ingested;
    const { nextMulti } = cluster.after.control.checkPointCopy;
    const [ours, real] = [await slruPagesOf(timeline), await slruPagesOf(cluster.after)];
    expect([...ours.keys()]).toEqual([...real.keys()]);
    for (const [name, page] of real) {
      const expected = name.startsWith('multixact_offsets') ? withoutNextOffset(page, nextMulti) : page;
      expect({ name, isEqual: Buffer.compare(ours.get(name) ?? page, expected) === 0 }).toEqual({
        name,
        isEqual: true,
      });
    }
  });

  it('gives the checkpoint that Postgres wrote, its ids running ahead by a step', () => {
    const { ingest, cluster } = ingested;
    const { control } = cluster.after;
    const { nextXid, nextOid, redo, oldestActiveXid, time, ...fields } = control.checkPointCopy;
    const { time: _, ...ours } = ingest.checkPoint;
    expect(ours).toMatchObject({ ...fields, redo: ingest.lastRecordLsn });
    expect(redo).toBe(control.checkPoint);
    expect(Number(ours.nextXid - nextXid)).toBeGreaterThanOrEqual(0);
    expect(Number(ours.nextXid - nextXid)).toBeLessThan(1024);
    expect(ours.nextOid).toBeGreaterThanOrEqual(nextOid);
    // One prepared transaction is left, and it is younger than everything before the workload.
    expect(oldestActiveXid).toBe(0);
    expect(ours.oldestActiveXid).toBeLessThan(Number(nextXid));
    expect(ours.oldestActiveXid).toBeGreaterThan(Number(cluster.before.control.checkPointCopy.nextXid));
  });

  it('redoes to the same pages from what is stored as from the records themselves', async () => {
    const { timeline, cluster, originals } = ingested;
    const redo = redoOf({ major, heapLayout: 'stock', originals });
    const stock = new MemoryTimeline({ base: cluster.before, redo });
    stock.apply(timeline.writes);
    const live = new Set(cluster.after.relations.map((tag) => describeKey(relSizeKey(tag))));
    const keys = new Map(timeline.writes.map(({ key }) => [describeKey(key), key]));
    let pageCount = 0;
    for (const [name, key] of keys) {
      const parsed = parseKey(key);
      if (parsed.kind !== 'relation-block' || !live.has(describeKey(relSizeKey(parsed.tag)))) continue;
      const [ours, theirs] = [await requiredValue(timeline, key), await requiredValue(stock, key)];
      expect({ name, isEqual: Buffer.compare(ours, theirs) === 0 }).toEqual({ name, isEqual: true });
      pageCount += 1;
    }
    expect(pageCount).toBeGreaterThan(500);
    // Only 14 and 15 are stored in another form.
    const changed = timeline.writes.filter(
      ({ lsn, value }) =>
        value.kind === 'record' &&
        value.record.kind === 'postgres' &&
        value.record.record !== originals.get(lsn),
    );
    expect(changed.length > 5000).toBe(major < 16);
  }, 30_000);
});

import { lsn } from '@neon-snapshot/postgres';
import { findPostgres } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { Bytes, u16, u32 } from './bytes.ts';
import { itemStart } from './page/line-pointer.ts';
import { reconstructPage } from './reconstruct-page.ts';
import { createRedoEngine } from './redo-engine.ts';
import { BasePages } from './testing/base-pages.ts';
import { asNeonRecord } from './testing/neon-heap-records.ts';
import { engineFor, makeHarnessCluster } from './testing/redo-harness.ts';
import { replayWal } from './testing/replay-wal.ts';
import { SAMPLE_BLOCK, SAMPLE_TAG, sampleRecord } from './testing/sample-records.ts';

const CID = [0x44, 0x33, 0x22, 0x11];

describe.each([14, 15, 17])("heap records as Neon's Postgres %i writes them", (major) => {
  it('redo to the same pages as the stock ones that they are made of', async () => {
    const installation = await findPostgres({ major });
    const workload = { scale: 0.1, rounds: 1, special: false, checkpoints: false };
    await using cluster = await makeHarnessCluster({ ...workload, installation });
    const stock = new BasePages(cluster.baseDirectory);
    replayWal(cluster, { engine: engineFor(cluster), pages: stock });
    const neon = new BasePages(cluster.baseDirectory);
    const engine = createRedoEngine({ major, heapLayout: 'neon', hintBitsLogged: false });
    let rewritten = 0;
    const rewrite = (bytes: Uint8Array): Uint8Array => {
      const record = asNeonRecord(bytes, major);
      if (record !== bytes) rewritten++;
      return record;
    };
    replayWal(cluster, { engine, pages: neon, rewrite });
    expect(rewritten).toBeGreaterThan(1_000);
    let equal = 0;
    for (const [key, { pages }] of stock.relations) {
      for (const [block, page] of pages) {
        const other = neon.relations.get(key)?.pages.get(block);
        if (other === undefined || Buffer.compare(page, other) !== 0)
          expect.fail(`${key} block ${block} differs`);
        equal++;
      }
    }
    expect(equal).toBeGreaterThan(200);
  });
});

describe.each([
  ['14 and 15', 15, 10, 0x10, [1, 0, 0xa5, 0xa5, ...CID, 0x30, 0]],
  ['16 and 17', 17, 134, 0x10, [1, 0, 0x30, 0, ...CID]],
] as const)('the command id of Neon’s %s', (_, major, resourceManager, info, deleteMain) => {
  it('comes from the record, with the combo bit', () => {
    const engine = createRedoEngine({ major, heapLayout: 'neon', hintBitsLogged: false });
    const data = [1, 0, 0x22, 0x09, ...CID, 24, 0, 1, 2];
    const insert = sampleRecord({ resourceManager, info: 0x80, willInit: true, main: [1, 0, 0], data });
    const of = { tag: SAMPLE_TAG, blockNumber: SAMPLE_BLOCK };
    const base = reconstructPage(engine, { ...of, records: [{ endLsn: lsn(100n), bytes: insert }] });
    const page = new Bytes(base);
    const tuple = itemStart(page, 1);
    expect([u32(page, tuple + 8), u16(page, tuple + 20) & 0x20]).toEqual([0x11223344, 0x20]);

    const main = [0xbd, 2, 0, 0, ...deleteMain];
    const gone = sampleRecord({ resourceManager, info, main });
    base.fill(0, tuple + 8, tuple + 12);
    const records = [{ endLsn: lsn(200n), bytes: gone }];
    const after = new Bytes(reconstructPage(engine, { ...of, base, records }));
    expect(u32(after, tuple + 4)).toBe(701);
    expect([u32(after, tuple + 8), u16(after, tuple + 20) & 0x20]).toEqual([0x11223344, 0x20]);
    expect(u16(after, tuple + 18) & 0x2000).toBe(0x2000);
  });
});

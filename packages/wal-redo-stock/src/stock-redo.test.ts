import { BLCKSZ, isNewPage, pageChecksum } from '@neon-snapshot/postgres';
import { findPostgres } from '@neon-snapshot/postgres-process';
import { createRedoEngine, reconstructPages } from '@neon-snapshot/wal-redo';
import { describe, expect, it } from 'vitest';
import { openStockRedo } from './open-stock-redo.ts';
import { historiesOf, type PageHistory } from './testing/requests.ts';
import { makeStockCluster } from './testing/stock-cluster.ts';
import { workload } from './testing/workload.ts';

const TIMEOUT_MS = 60_000;

describe.each([14, 15, 16, 17] as const)('redo by stock Postgres %i', (major) => {
  it(
    'makes every page what our own redo and a recovery of the whole cluster make of it',
    async () => {
      const installation = await findPostgres({ major });
      const dataChecksums = major % 2 === 1;
      await using cluster = await makeStockCluster({ installation, dataChecksums, statements: workload() });
      const gistTuplesDeleted = 'page-update-and-delete';
      const layout = { heapLayout: 'stock', hintBitsLogged: dataChecksums } as const;
      const engine = createRedoEngine({ major, ...layout, gistTuplesDeleted });
      const histories = historiesOf(cluster, engine);

      await using stock = await openStockRedo({ installation, dataChecksums, heapLayout: 'stock' });
      const { pages, failures } = await stock.reconstructPages(histories);
      expect(failures).toEqual([]);

      const own = reconstructPages(engine, histories);
      const different: string[] = [];
      let recovered = 0;
      let referring = 0;
      for (const [index, history] of histories.entries()) {
        const page = pageAt(pages, index);
        const byPostgres = cluster.recoveredPage(history.tag, history.blockNumber);
        if (byPostgres !== undefined) {
          recovered++;
          if (!isEqual(page, byPostgres)) different.push(`recovery: ${nameOf(history)}`);
        }
        if (!history.refers) continue;
        referring++;
        const byOwn = stamped(pageAt(own.pages, index), dataChecksums ? history.blockNumber : undefined);
        if (!isEqual(page, byOwn)) different.push(`own: ${nameOf(history)}`);
      }
      expect(different).toEqual([]);
      expect(recovered).toBeGreaterThan(300);
      expect(referring).toBeGreaterThan(300);
      expect(histories.filter(({ refers }) => !refers).length).toBeGreaterThan(3);
    },
    TIMEOUT_MS,
  );
});

function pageAt(pages: Uint8Array, index: number): Uint8Array {
  return pages.subarray(BLCKSZ * index, BLCKSZ * (index + 1));
}

/** With the checksum that Postgres writes where there are any. */
function stamped(page: Uint8Array, blockNumber: number | undefined): Uint8Array {
  if (blockNumber === undefined || isNewPage(page)) return page;
  new DataView(page.buffer, page.byteOffset).setUint16(8, pageChecksum(page, blockNumber), true);
  return page;
}

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function nameOf({ tag, blockNumber, records }: PageHistory): string {
  return `${tag.dbNode}/${tag.relNode} fork ${tag.forkNum} block ${blockNumber}, ${records.length} records`;
}

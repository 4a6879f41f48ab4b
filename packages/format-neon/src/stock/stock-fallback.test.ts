import { relBlockKey, type Value } from '@neon-snapshot/neon-layer';
import {
  BLCKSZ,
  decodePageHeader,
  encodeWalRecord,
  lsn,
  pageChecksum,
  RESOURCE_MANAGER,
  type RelTag,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from '../plugin.ts';
import { addLaterLayer, LATER_LSN } from '../testing/later-layer.ts';
import { imported, readFiles } from '../testing/made-up-runs.ts';
import { testServices } from '../testing/services.ts';
import { stockRedoOfMachine } from '../testing/stock-redo.ts';

const TAG: RelTag = { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 0 };
const BLOCK = 1;
const CHANGE = { offset: 8000, bytes: [1, 2, 3, 4, 5] } as const;

/**
 * A generic record in a form that our redo does not know and Postgres reads: generic_redo (generic_xlog.c) never looks at the
 * info bits, of which Postgres sets none.
 */
function unknownRecord(resourceManager: number = RESOURCE_MANAGER.generic): Value {
  const data = [...u16(CHANGE.offset), ...u16(CHANGE.bytes.length), ...CHANGE.bytes];
  const block = [0, 0x20, ...u16(data.length), ...u32(TAG.spcNode), ...u32(TAG.dbNode), ...u32(TAG.relNode)];
  const content = Uint8Array.from([...block, ...u32(BLOCK), ...data]);
  const header = { xid: 3, previous: lsn(0x28n), info: 0x10, resourceManager };
  return {
    kind: 'record',
    record: { kind: 'postgres', willInit: false, record: encodeWalRecord(header, content) },
  };
}

const u16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];

async function withRecord(value: Value): Promise<Storage> {
  const storage = await imported();
  await addLaterLayer(storage, [[relBlockKey(TAG, BLOCK), value]]);
  return storage;
}

/** What generic_redo makes of the imported page. */
async function expectedPage(): Promise<Uint8Array> {
  await using storage = await imported();
  const file = (await readFiles(storage)).get('base/5/1259') ?? new Uint8Array();
  const page = file.slice(BLOCK * BLCKSZ, (BLOCK + 1) * BLCKSZ);
  page.set(CHANGE.bytes, CHANGE.offset);
  const { lower, upper } = decodePageHeader(page);
  page.fill(0, lower, upper);
  const view = new DataView(page.buffer);
  view.setUint32(0, Number(LATER_LSN >> 32n), true);
  view.setUint32(4, Number(LATER_LSN & 0xffff_ffffn), true);
  view.setUint16(8, pageChecksum(page, BLOCK), true);
  return page;
}

async function exportFile(storage: Storage, services: ReturnType<typeof testServices>['services']) {
  await using reader = await plugin.openReader({ storage, options: {}, services, concurrency: 1 });
  const chunks: Uint8Array[] = [];
  for (const partition of reader.partitions(1)) {
    for await (const entry of partition.entries) {
      if (entry.kind !== 'file') continue;
      for await (const chunk of entry.body)
        if (entry.path === 'base/5/1259') chunks.push(Uint8Array.from(chunk));
    }
  }
  await reader.finish();
  return Buffer.concat(chunks);
}

describe('a record that redo does not know', () => {
  test('is replayed by stock Postgres where there is one, and told', async () => {
    await using storage = await withRecord(unknownRecord());
    const { services, warnings } = testServices({ openStockRedo: stockRedoOfMachine });
    const file = await exportFile(storage, services);
    expect(file.subarray(BLOCK * BLCKSZ, (BLOCK + 1) * BLCKSZ)).toEqual(Buffer.from(await expectedPage()));
    expect(warnings).toEqual(['1 WAL record was not known to our redo and replayed by stock Postgres']);
  });

  test('is an error that names the page where there is none', async () => {
    await using storage = await withRecord(unknownRecord());
    await expect(exportFile(storage, testServices().services)).rejects.toMatchObject({
      code: 'FORMAT_NEEDS_REDO',
      context: { path: 'base/5/1259', block: BLOCK, fault: 'REDO_UNSUPPORTED_RECORD' },
    });
  });

  test('is the same error where Postgres does not know it either', async () => {
    await using storage = await withRecord(unknownRecord(200));
    const { services } = testServices({ openStockRedo: stockRedoOfMachine });
    await expect(exportFile(storage, services)).rejects.toMatchObject({
      code: 'FORMAT_NEEDS_REDO',
      message: expect.stringMatching(
        /our redo does not know .* stock Postgres did not replay it either: .*200/,
      ),
    });
  });

  test('is the same error where Postgres is not to be found', async () => {
    await using storage = await withRecord(unknownRecord());
    const openStockRedo = () => Promise.reject(new Error('there is no Postgres 17'));
    await expect(exportFile(storage, testServices({ openStockRedo }).services)).rejects.toMatchObject({
      code: 'FORMAT_NEEDS_REDO',
      message: expect.stringContaining('there is no Postgres 17'),
    });
  });

  test('is counted by a verification, and its page compared', async () => {
    await using storage = await withRecord(unknownRecord());
    const { services } = testServices({ openStockRedo: stockRedoOfMachine });
    const context = {
      storage,
      options: {},
      services,
      concurrency: 1,
      level: 'pages',
      comparesRedo: true,
    } as const;
    const report = await plugin.verify?.(context);
    expect(report?.findings.filter(({ code }) => code.startsWith('REDO'))).toEqual([]);
    expect(report?.counts).toMatchObject({ redone: 1, redoFailed: 0, fallbackRecords: 1, stockCompared: 1 });
  });
});

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { BLCKSZ, decodePageHeader, lsn, pageChecksum } from '@neon-snapshot/postgres';
import { findPostgres, type PostgresInstallation } from '@neon-snapshot/postgres-process';
import { createRedoEngine, reconstructPage } from '@neon-snapshot/wal-redo';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStockRedo, type StockRedo } from './open-stock-redo.ts';
import type { StockPageRequest } from './page-request.ts';
import { MAP_TAG, SAMPLE_TAG, sampleInsert } from './testing/sample-records.ts';

let installation: PostgresInstallation;
let scratchDirectory: string;

beforeAll(async () => {
  installation = await findPostgres({ major: 17 });
  scratchDirectory = mkdtempSync(join(tmpdir(), 'neon-stock-scratch-'));
  await chmod(scratchDirectory, 0o755);
});

afterAll(() => rmSync(scratchDirectory, { recursive: true, force: true }));

const openStock = (dataChecksums = false): Promise<StockRedo> =>
  openStockRedo({ installation, dataChecksums, heapLayout: 'stock', scratchDirectory });

const insertOf = (blockNumber: number, endLsn = 0x1000n): StockPageRequest => ({
  tag: SAMPLE_TAG,
  blockNumber,
  records: [{ endLsn: lsn(endLsn), bytes: sampleInsert({ blockNumber }) }],
});

const pageAt = (pages: Uint8Array, index: number): Uint8Array =>
  pages.subarray(BLCKSZ * index, BLCKSZ * (index + 1));

function byOwnRedo(request: StockPageRequest): Uint8Array {
  const engine = createRedoEngine({ major: 17, heapLayout: 'stock', hintBitsLogged: false });
  return reconstructPage(engine, request);
}

const isPostgresRunning = (): boolean =>
  readdirSync(scratchDirectory, { recursive: true }).some((path) => String(path).endsWith('postmaster.pid'));

describe('pages from single records', () => {
  it('are those of our redo, in any gigabyte of a relation and at several LSNs of one page', async () => {
    await using stock = await openStock();
    const first = insertOf(7);
    const second = { endLsn: lsn(0x2000n), bytes: sampleInsert({ blockNumber: 7, offset: 2, inits: false }) };
    const requests = [first, { ...first, records: [...first.records, second] }, insertOf(200_000)];
    const { pages, failures } = await stock.reconstructPages(requests);
    expect(failures).toEqual([]);
    for (const [index, request] of requests.entries()) {
      expect(Buffer.from(pageAt(pages, index))).toEqual(Buffer.from(byOwnRedo(request)));
    }
  });

  it('have a valid checksum where the cluster has checksums, also without a record', async () => {
    await using stock = await openStock(true);
    const base = byOwnRedo(insertOf(9));
    const { pages } = await stock.reconstructPages([
      insertOf(7),
      { tag: SAMPLE_TAG, blockNumber: 9, base, records: [] },
    ]);
    expect(decodePageHeader(pageAt(pages, 0)).checksum).toBe(pageChecksum(pageAt(pages, 0), 7));
    expect(decodePageHeader(pageAt(pages, 1)).checksum).toBe(pageChecksum(pageAt(pages, 1), 9));
  });

  it('leave out records that the base has already, by its LSN', async () => {
    await using stock = await openStock();
    const base = byOwnRedo(insertOf(7, 0x3000n));
    const old = { endLsn: lsn(0x2000n), bytes: sampleInsert({ blockNumber: 7, offset: 2, inits: false }) };
    const { pages } = await stock.reconstructPages([
      { tag: SAMPLE_TAG, blockNumber: 7, base, records: [old] },
    ]);
    expect(Buffer.from(pages)).toEqual(Buffer.from(base));
  });

  it('of an init fork are not mixed with the main fork', async () => {
    await using stock = await openStock();
    const bytes = sampleInsert({ blockNumber: 0, forkNum: 3 });
    const tag = { ...SAMPLE_TAG, forkNum: 3 } as const;
    const request = { tag, blockNumber: 0, records: [{ endLsn: lsn(0x1000n), bytes }] };
    const { pages, failures } = await stock.reconstructPages([request]);
    expect(failures).toEqual([]);
    expect(Buffer.from(pages)).toEqual(Buffer.from(byOwnRedo(request)));
  });

  it('of a visibility map lose the bits that a record clears without a reference', async () => {
    await using stock = await openStock();
    const base = byOwnRedo(insertOf(7)).fill(0, 24);
    new DataView(base.buffer).setUint16(12, 24, true);
    new DataView(base.buffer).setUint16(14, BLCKSZ, true);
    base.fill(0xff, 24);
    const bytes = sampleInsert({ blockNumber: 5, clearsVisibility: true });
    const { pages, failures } = await stock.reconstructPages([
      { tag: MAP_TAG, blockNumber: 0, base, records: [{ endLsn: lsn(0x500n), bytes }] },
    ]);
    expect(failures).toEqual([]);
    expect([...pages.subarray(24, 27)]).toEqual([0xff, 0b1111_0011, 0xff]);
    expect(decodePageHeader(pages).lsn).toBe(0x1000n);
  });
});

describe('a page that can not be made', () => {
  it('is a failure of its own beside pages that can', async () => {
    await using stock = await openStock();
    const gap = { endLsn: lsn(0x1000n), bytes: sampleInsert({ blockNumber: 8, offset: 77 }) };
    const requests = [insertOf(7), { ...insertOf(8), records: [gap] }, insertOf(9)];
    const { pages, failures } = await stock.reconstructPages(requests);
    expect(failures.map(({ index, error }) => [index, error.code])).toEqual([[1, 'STOCK_REDO_FAILED']]);
    expect(failures[0]?.error.message).toMatch(/block 8: .*invalid max offset number/);
    for (const index of [0, 2]) {
      expect(Buffer.from(pageAt(pages, index))).toEqual(Buffer.from(byOwnRedo(insertOf(index + 7))));
    }
  });

  const damaged = sampleInsert({ blockNumber: 7 });
  damaged[30] = 0xff;
  it.each<[string, string, Partial<StockPageRequest> | Uint8Array]>([
    ['STOCK_REDO_INVALID_RECORD', 'a damaged record', damaged],
    [
      'STOCK_REDO_INVALID_RECORD',
      'a record that is cut short',
      sampleInsert({ blockNumber: 7 }).slice(0, 40),
    ],
    ['STOCK_REDO_FOREIGN_RECORD', 'a record of another page', sampleInsert({ blockNumber: 6 })],
    [
      'STOCK_REDO_UNSUPPORTED_RECORD',
      'an extension’s record',
      sampleInsert({ blockNumber: 7, resourceManager: 134 }),
    ],
    ['STOCK_REDO_NO_BASE', 'a record that needs a page', sampleInsert({ blockNumber: 7, inits: false })],
    ['STOCK_REDO_NO_BASE', 'neither base nor record', { records: [] }],
    ['STOCK_REDO_INVALID_PAGE', 'a base that is too short', { base: new Uint8Array(100) }],
    ['STOCK_REDO_INVALID_PAGE', 'a base that is no page', { base: new Uint8Array(BLCKSZ).fill(1) }],
  ])('is %s for %s, without a run of Postgres', async (code, _what, given) => {
    await using stock = await openStockRedo({
      installation: { ...installation, binDirectory: '/nowhere' },
      dataChecksums: false,
      heapLayout: 'stock',
      scratchDirectory,
    });
    const records = given instanceof Uint8Array ? [{ endLsn: lsn(0x1000n), bytes: given }] : [];
    const request = { ...insertOf(7), records, ...(given instanceof Uint8Array ? {} : given) };
    const { failures } = await stock.reconstructPages([request]);
    expect(failures.map(({ index, error }) => [index, error.code])).toEqual([[0, code]]);
  });

  it('is refused where Neon’s 14 and 15 wrote other heap records under the same number', async () => {
    await using stock = await openStockRedo({
      installation: { ...installation, major: 15 },
      dataChecksums: false,
      heapLayout: 'neon',
      scratchDirectory,
    });
    const { failures } = await stock.reconstructPages([insertOf(7)]);
    expect(failures[0]?.error.code).toBe('STOCK_REDO_UNSUPPORTED_RECORD');
    expect(failures[0]?.error.context).toMatchObject({ resourceManager: 10, lsn: '0/1000' });
  });
});

describe('an engine', () => {
  it('leaves nothing behind when it is disposed, and makes no page from then on', async () => {
    const stock = await openStock();
    await stock.reconstructPages([insertOf(7)]);
    expect(
      readdirSync(scratchDirectory).flatMap((name) => readdirSync(join(scratchDirectory, name))),
    ).toEqual([]);
    const running = expect(stock.reconstructPages([insertOf(8)])).rejects.toMatchObject({
      code: 'STOCK_REDO_ABORTED',
    });
    await stock[Symbol.asyncDispose]();
    await running;
    await expect(stock.reconstructPages([insertOf(7)])).rejects.toMatchObject({ code: 'STOCK_REDO_CLOSED' });
    expect(readdirSync(scratchDirectory)).toEqual([]);
  });

  it('stops at a signal, before and while Postgres runs', async () => {
    await using stock = await openStock();
    const controller = new AbortController();
    const stopped = { code: 'STOCK_REDO_ABORTED', cause: expect.objectContaining({ message: 'enough' }) };
    const { signal } = controller;
    const running = expect(stock.reconstructPages([insertOf(7)], { signal })).rejects.toMatchObject(stopped);
    while (!isPostgresRunning()) await setImmediate();
    controller.abort(new Error('enough'));
    await running;
    const late = stock.reconstructPages([insertOf(7)], { signal });
    await expect(late).rejects.toMatchObject(stopped);
  });

  it('says so when Postgres can not be run', async () => {
    const broken = { ...installation, binDirectory: '/nowhere' };
    await using stock = await openStockRedo({
      installation: broken,
      dataChecksums: false,
      heapLayout: 'stock',
      scratchDirectory,
    });
    const run = stock.reconstructPages([insertOf(7)]);
    await expect(run).rejects.toMatchObject({ code: 'STOCK_REDO_POSTGRES' });
  });

  it('is there for the majors with redo only', async () => {
    const opening = openStockRedo({
      installation: { ...installation, major: 18 },
      dataChecksums: false,
      heapLayout: 'stock',
    });
    await expect(opening).rejects.toMatchObject({ code: 'STOCK_REDO_OPTION' });
  });
});

import type { FormatServices, VerifyReport } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from '../plugin.ts';
import { bytesOf, keysOf } from '../testing/made-up-runs.ts';
import { HAS_SAMPLES, SAMPLES_NOTE, sampleFacts, sampleStorage } from '../testing/neon-samples.ts';
import { testServices } from '../testing/services.ts';
import { stockRedoOfMachine } from '../testing/stock-redo.ts';

type OpenStockRedo = NonNullable<FormatServices['openStockRedo']>;

async function verify(
  storage: Storage,
  options: Readonly<Record<string, string | undefined>>,
  openStockRedo: OpenStockRedo | undefined = stockRedoOfMachine,
): Promise<VerifyReport> {
  const { services } = testServices(openStockRedo === undefined ? {} : { openStockRedo });
  const context = { storage, options, services, concurrency: 2, level: 'pages', comparesRedo: true } as const;
  const report = await plugin.verify?.(context);
  if (report === undefined) throw new Error('the format cannot verify');
  return report;
}

const errorsOf = ({ findings }: VerifyReport) => findings.filter(({ severity }) => severity === 'error');

/** Postgres, but that it changes a byte of every page. */
function wrongStockRedo(offset: number): OpenStockRedo {
  return async (request) => {
    const stock = await stockRedoOfMachine(request);
    return {
      reconstructPages: async (pages, options) => {
        const made = await stock.reconstructPages(pages, options);
        for (let at = offset; at < made.pages.length; at += 8192)
          made.pages[at] = (made.pages[at] ?? 0) ^ 0xff;
        return made;
      },
      [Symbol.asyncDispose]: () => stock[Symbol.asyncDispose](),
    };
  };
}

describe.runIf(HAS_SAMPLES)(
  `pages from WAL of a real page server, made by stock Postgres too${SAMPLES_NOTE}`,
  () => {
    test.each([
      ['pg16', 'main'],
      ['pg16', 'branch'],
      ['pg17', 'main'],
      ['pg17', 'branch'],
    ])('%s %s: none differs', async (name, timeline) => {
      await using storage = await sampleStorage(name);
      const { tenant, timelines } = sampleFacts(name);
      const report = await verify(storage, { tenant_id: tenant, timeline_id: timelines[timeline] });
      expect(errorsOf(report)).toEqual([]);
      expect(report.counts.stockCompared).toBeGreaterThan(350);
      // Visibility maps: Neon stores records of its own for them.
      expect(report.counts.stockSkipped).toBeLessThan(25);
    });

    test('a byte that differs is found, a checksum that differs is not one', async () => {
      await using storage = await sampleStorage('pg17');
      const { tenant, timelines, phases } = sampleFacts('pg17');
      const options = { tenant_id: tenant, timeline_id: timelines.main, lsn: phases[1]?.lsn };
      const different = await verify(storage, options, wrongStockRedo(8191));
      expect(errorsOf(different)[0]).toMatchObject({
        code: 'REDO_DIFFERS',
        message: expect.stringMatching(
          /made from \d+ records \(0\/.*\) differs .* in 1 bytes, the first at 8191$/,
        ),
      });
      expect(different.errorCount).toBe(different.counts.stockCompared);
      expect(errorsOf(await verify(storage, options, wrongStockRedo(8)))).toEqual([]);
    });

    test('without a Postgres nothing is compared, which is an error', async () => {
      await using storage = await sampleStorage('pg17');
      const { tenant, timelines } = sampleFacts('pg17');
      const { services } = testServices();
      const options = { tenant_id: tenant, timeline_id: timelines.main };
      const context = {
        storage,
        options,
        services,
        concurrency: 2,
        level: 'pages',
        comparesRedo: true,
      } as const;
      await expect(plugin.verify?.(context)).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
    });
  },
);

describe.runIf(HAS_SAMPLES)(`a tenant in shards${SAMPLES_NOTE}`, () => {
  /** A layer that begins inside of a database. */
  const RELATION_PAGES = /\/000000067F[0-9A-F]{26}-[0-9A-F]{36}__[0-9A-F-]+$/;
  const SHARDED = { tenant_id: '16606060606060606060606060606060' };

  test('is sound, and its pages are those of stock Postgres', async () => {
    await using storage = await sampleStorage('pg16');
    const report = await verify(storage, SHARDED);
    expect(report.findings).toEqual([]);
    expect(report.counts).toMatchObject({ pages: 4145, redoFailed: 0 });
    expect(report.counts.stockCompared).toBeGreaterThan(200);
  });

  test.each([
    ['of a shard', '-0002'],
    ['from before the split, which the other shard lists,', ''],
  ])('has a finding where a layer %s is damaged', async (_, shard) => {
    await using storage = await sampleStorage('pg16');
    const prefix = `tenants/${SHARDED.tenant_id}${shard}/`;
    const key = (await keysOf(storage)).find((each) => each.startsWith(prefix) && RELATION_PAGES.test(each));
    const bytes = Uint8Array.from(await bytesOf(storage, key ?? ''));
    // Values lie behind the first block.
    bytes.fill(0xff, 8192, 12_000);
    await storage.put(key ?? '', bytes);
    const report = await verify(storage, SHARDED);
    expect(errorsOf(report).map(({ code }) => code)).toContain('VALUE_UNREADABLE');
  });

  test('is not looked at where a shard has no index, which is a finding', async () => {
    await using storage = await sampleStorage('pg16');
    const keys = await keysOf(storage);
    await storage.delete(keys.filter((key) => key.includes('-0102/') && key.includes('/index_part.json')));
    const report = await verify(storage, SHARDED);
    expect(errorsOf(report)).toMatchObject([
      { code: 'SHARD_MISSING', message: expect.stringContaining('on shard 1 of 2') },
    ]);
  });
});

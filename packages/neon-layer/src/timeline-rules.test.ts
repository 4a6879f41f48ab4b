import { createMemoryStorage, type Storage, StorageError } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { auxFileKey } from './aux-file-key.ts';
import { bytesToHex } from './bytes.ts';
import {
  CHECKPOINT_KEY,
  DBDIR_KEY,
  KEY_MAX,
  KEY_MIN,
  relBlockKey,
  relDirV2Key,
  relSizeKey,
  replOriginKey,
} from './key.ts';
import { parseKey } from './key-kind.ts';
import type { RedoRequest } from './redo.ts';
import { listIndexes, listTenants, listTimelines } from './storage-listing.ts';
import {
  at,
  BRANCH,
  imageValue,
  MAIN,
  memoryTimelines,
  recordValue,
  storeTimeline,
  TENANT,
} from './testing/memory-timeline.ts';
import { openTimelineView, type TimelineView, type TimelineViewOptions } from './timeline-view.ts';

const TAG = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;
const [BLOCK_0, BLOCK_1, BLOCK_2] = [relBlockKey(TAG, 0), relBlockKey(TAG, 1), relBlockKey(TAG, 2)];
const ALL = { start: KEY_MIN, end: KEY_MAX };
const page = (byte: number) => new Uint8Array(8192).fill(byte);
const small = (byte: number) => Uint8Array.of(byte);

const open = (storage: Storage, options: TimelineViewOptions & { readonly timelineId?: string } = {}) =>
  openTimelineView(storage, { tenant: TENANT, timelineId: MAIN, ...options });

async function scanned(view: TimelineView): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const entries of view.scan(ALL)) {
    found.push(
      ...entries.map(
        ({ key, value }) =>
          `${bytesToHex(key).slice(0, 2)}…${bytesToHex(key).slice(-2)}=${bytesToHex(value).slice(0, 2)}`,
      ),
    );
  }
  return found;
}

/** First byte of every page, by block number. */
async function pages(view: TimelineView): Promise<readonly (readonly [number, number])[]> {
  const found: [number, number][] = [];
  for await (const entries of view.scan(ALL)) {
    for (const { key, value } of entries) {
      const parsed = parseKey(key);
      if (parsed.kind === 'relation-block') found.push([parsed.blockNumber, value[0] ?? -1]);
    }
  }
  return found;
}

describe('a read at an LSN', () => {
  const layers = [
    {
      imageAt: 10,
      entries: [
        [BLOCK_0, page(1)],
        [BLOCK_1, page(2)],
        [relSizeKey(TAG), small(3)],
      ],
    },
    {
      deltaOf: [11, 21],
      changes: [
        [BLOCK_1, 15, imageValue(page(4))],
        [BLOCK_2, 20, imageValue(page(5))],
      ],
    },
    {
      deltaOf: [21, 31],
      changes: [
        [BLOCK_1, 30, imageValue(page(6))],
        [DBDIR_KEY, 25, imageValue(small(7))],
      ],
    },
  ] as const;

  it('takes the newest state at or below it, of pages and of other keys', async () => {
    const view = await open(await memoryTimelines({ end: 30, layers }));
    expect(await pages(view)).toEqual([
      [0, 1],
      [1, 6],
      [2, 5],
    ]);
    expect(await pages(view.at(at(29)))).toEqual([
      [0, 1],
      [1, 4],
      [2, 5],
    ]);
    expect(await pages(view.at(at(19)))).toEqual([
      [0, 1],
      [1, 4],
    ]);
    expect(await pages(view.at(at(14)))).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(await pages(view.at(at(9)))).toEqual([]);
    expect(await scanned(view)).toEqual(['00…00=07', '00…00=01', '00…01=06', '00…02=05', '00…ff=03']);
    expect(await view.getMany([DBDIR_KEY, BLOCK_1, CHECKPOINT_KEY])).toEqual([small(7), page(6), undefined]);
  });

  it('does not look below an image layer, also for keys that it lacks', async () => {
    const withImage = [...layers, { imageAt: 25, entries: [[BLOCK_0, page(8)]] }] as const;
    const view = await open(await memoryTimelines({ end: 30, layers: withImage }));
    expect(await pages(view)).toEqual([
      [0, 8],
      [1, 6],
    ]);
    expect(await pages(view.at(at(25)))).toEqual([[0, 8]]);
    expect(await pages(view.at(at(24)))).toEqual([
      [0, 1],
      [1, 4],
      [2, 5],
    ]);
    expect(await view.get(BLOCK_2)).toBeUndefined();
  });

  it('leaves out layers from the future', async () => {
    const storage = await memoryTimelines({ end: 20, layers });
    const view = await open(storage);
    expect(view.source.layers.layers.length).toBe(2);
    expect(await pages(view)).toEqual([
      [0, 1],
      [1, 4],
      [2, 5],
    ]);
  });

  it('takes an empty value of a sparse key for none, of a dense key for a value', async () => {
    const [aux, gone] = [auxFileKey('pg_stat/a'), replOriginKey(1)];
    const content = [
      {
        imageAt: 10,
        entries: [
          [DBDIR_KEY, new Uint8Array(0)],
          [aux, small(1)],
          [gone, small(2)],
        ],
      },
      { deltaOf: [11, 21], changes: [[gone, 20, imageValue(new Uint8Array(0))]] },
    ] as const;
    const view = await open(await memoryTimelines({ end: 20, layers: content }));
    expect(await scanned(view)).toEqual(['00…00=', expect.stringMatching(/^62…..=01$/)]);
    expect([await view.get(gone), await view.get(DBDIR_KEY)]).toEqual([undefined, new Uint8Array(0)]);
  });
});

describe('a branch', () => {
  const aux = auxFileKey('pg_stat/a');
  const relDir = relDirV2Key(TAG);
  const main = {
    end: 30,
    layers: [
      {
        imageAt: 10,
        entries: [
          [BLOCK_0, page(1)],
          [BLOCK_1, page(2)],
          [aux, small(1)],
          [relDir, small(0x72)],
        ],
      },
      {
        deltaOf: [11, 31],
        changes: [
          [BLOCK_0, 20, imageValue(page(3))],
          [BLOCK_0, 30, imageValue(page(4))],
        ],
      },
    ],
  } as const;
  const branch = {
    timelineId: BRANCH,
    end: 40,
    layers: [
      {
        deltaOf: [21, 41],
        changes: [
          [BLOCK_1, 40, imageValue(page(5))],
          [replOriginKey(1), 35, imageValue(small(9))],
        ],
      },
    ],
    ancestor: { timelineId: MAIN, at: 20 },
  } as const;

  it("has its ancestor's state at the branch point, but for aux files and origins", async () => {
    const view = await open(await memoryTimelines(main, branch), { timelineId: BRANCH });
    expect(await pages(view)).toEqual([
      [0, 3],
      [1, 5],
    ]);
    expect(await pages(view.at(at(39)))).toEqual([
      [0, 3],
      [1, 2],
    ]);
    expect(await pages(view.at(at(15)))).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect([await view.get(aux), await view.get(relDir)]).toEqual([undefined, small(0x72)]);
    expect(await scanned(view)).toEqual(['00…00=03', '00…01=05', '63…01=09', '65…01=72']);
  });

  it('without its ancestor, or that is its own ancestor, is refused', async () => {
    await expect(open(await memoryTimelines(branch), { timelineId: BRANCH })).rejects.toMatchObject({
      code: 'NEON_LAYER_NOT_FOUND',
      context: { timelineId: MAIN },
    });
    const loop = { ...main, ancestor: { timelineId: BRANCH, at: 5 } };
    await expect(open(await memoryTimelines(loop, branch))).rejects.toMatchObject({
      code: 'NEON_LAYER_INVALID_INDEX',
    });
  });
});

describe('redo', () => {
  const layers = [
    {
      imageAt: 10,
      entries: [
        [BLOCK_0, page(1)],
        [BLOCK_1, page(2)],
      ],
    },
    {
      deltaOf: [11, 21],
      changes: [
        [BLOCK_0, 15, recordValue(0x0a)],
        [BLOCK_1, 15, imageValue(page(3))],
        [BLOCK_2, 12, recordValue(0x0b)],
        [BLOCK_2, 14, recordValue(0x0c, { willInit: true })],
      ],
    },
    {
      deltaOf: [21, 31],
      changes: [
        [BLOCK_0, 30, recordValue(0x0d)],
        [BLOCK_1, 25, recordValue(0x0e)],
        [BLOCK_2, 26, recordValue(0x0f)],
      ],
    },
  ] as const;

  /** Remembers what it was asked for; the page that it makes has the last record's byte. */
  function recorder() {
    const asked: string[] = [];
    const redo = async ({ parsedKey, lsn, base, records }: RedoRequest) => {
      const block = parsedKey.kind === 'relation-block' ? parsedKey.blockNumber : -1;
      const bytes = records.map(
        ({ lsn: own, record }) => `${record.kind === 'postgres' ? bytesToHex(record.record) : ''}@${own}`,
      );
      asked.push(`${block} to ${lsn}: ${base?.[0] ?? 'nothing'} ${bytes.join(' ')}`);
      return page(0x0f);
    };
    return { asked, redo };
  }

  it('gets the newest image or nothing, and the records after it, oldest first', async () => {
    const { asked, redo } = recorder();
    const view = await open(await memoryTimelines({ end: 30, layers }), { redo });
    expect(await pages(view)).toEqual([
      [0, 15],
      [1, 15],
      [2, 15],
    ]);
    const expected = ['0 to 30: 1 0a@15 0d@30', '1 to 30: 3 0e@25', '2 to 30: nothing 0c@14 0f@26'];
    expect(asked).toEqual(expected);
    await view.get(BLOCK_1);
    expect(asked.at(-1)).toBe(expected[1]);
  });

  it('is asked for by an error that names key, LSN and layer, where it is not given', async () => {
    const view = await open(await memoryTimelines({ end: 30, layers }));
    const refusal = {
      code: 'NEON_LAYER_NEEDS_REDO',
      message: expect.stringContaining(
        'block 2 of relation 1663/5/2700 fork 0 is a WAL record at 0/1A in layer tenants/',
      ),
    };
    await expect(view.get(BLOCK_2)).rejects.toMatchObject(refusal);
    await expect(pages(view)).rejects.toMatchObject({ code: 'NEON_LAYER_NEEDS_REDO' });
    expect(await pages(view.at(at(11)))).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  it('that makes a page of another size is refused', async () => {
    const view = await open(await memoryTimelines({ end: 30, layers }), { redo: async () => small(1) });
    await expect(pages(view)).rejects.toMatchObject({ code: 'NEON_LAYER_CORRUPT' });
  });
});

describe('a storage', () => {
  const layers = [{ imageAt: 10, entries: [[BLOCK_0, page(1)]] }] as const;

  it('lists tenants, timelines and indexes, and the newest generation is read', async () => {
    const storage = await memoryTimelines({ end: 10, layers }, { timelineId: BRANCH, end: 10, layers });
    await storeTimeline(storage, { generation: 0x1a, end: 12, layers });
    await storage.put('tenants/no-tenant/x', small(1));
    const [tenant, ...others] = await listTenants(storage);
    expect([tenant?.tenantId, others]).toEqual([TENANT, []]);
    if (tenant === undefined) return;
    expect(await listTimelines(storage, tenant)).toEqual([MAIN, BRANCH]);
    expect((await listIndexes(storage, tenant, MAIN)).map(({ generation }) => generation)).toEqual([1, 26]);
    const view = await open(storage);
    expect([view.source.generation, view.lsn]).toEqual([26, 12n]);
  });

  it('without the timeline is told apart from one with a broken index', async () => {
    await expect(open(createMemoryStorage())).rejects.toMatchObject({ code: 'NEON_LAYER_NOT_FOUND' });
    const storage = createMemoryStorage();
    await storage.put(`tenants/${TENANT}/timelines/${MAIN}/index_part.json-00000001`, small(1));
    await expect(open(storage)).rejects.toMatchObject({ code: 'NEON_LAYER_INVALID_INDEX' });
  });

  it('that lacks a layer, or fails once, ends the read with its error; the next read goes on', async () => {
    const storage = await memoryTimelines({ end: 10, layers });
    let failures = 1;
    const flaky: Storage = {
      ...bound(storage),
      get: async (key, options) => {
        if (key.includes('__') && failures > 0) {
          failures -= 1;
          throw new StorageError({
            code: 'STORAGE_UNAVAILABLE',
            operation: 'get',
            message: 'gone for a moment',
          });
        }
        return storage.get(key, options);
      },
    };
    const view = await open(flaky);
    await expect(pages(view)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(await pages(view)).toEqual([[0, 1]]);
    const [layer] = view.source.layers.layers;
    await storage.delete([layer?.objectKey ?? '']);
    await expect(pages(await open(storage))).rejects.toMatchObject({
      code: 'NEON_LAYER_TRUNCATED',
      message: expect.stringContaining('the index lists it, but it is not there'),
    });
  });

  it('whose values are damaged or of a wrong size names key and layer', async () => {
    const sizes = [
      {
        imageAt: 10,
        entries: [
          [BLOCK_0, page(1)],
          [relSizeKey(TAG), page(2)],
        ],
      },
    ] as const;
    const view = await open(await memoryTimelines({ end: 10, layers: sizes }));
    await expect(scanned(view)).rejects.toMatchObject({
      code: expect.stringMatching(/^NEON_LAYER_(CORRUPT|TOO_LARGE)$/),
      message: expect.stringMatching(
        /^The value of the size of relation 1663\/5\/2700 fork 0 in layer tenants\//,
      ),
    });
  });

  it('is no longer read after an abort', async () => {
    const view = await open(await memoryTimelines({ end: 10, layers }));
    const signal = AbortSignal.abort(new Error('stop'));
    await expect(view.get(BLOCK_0, { signal })).rejects.toThrow('stop');
    const scan = view.scan(ALL, { signal });
    await expect(scan.next()).rejects.toThrow('stop');
  });
});

/** The methods of a storage as own properties, to replace some. */
function bound(storage: Storage): Storage {
  return {
    url: storage.url,
    capability: storage.capability,
    head: (...call) => storage.head(...call),
    get: (...call) => storage.get(...call),
    list: (...call) => storage.list(...call),
    put: (...call) => storage.put(...call),
    delete: (...call) => storage.delete(...call),
    [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
  };
}

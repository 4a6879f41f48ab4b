import {
  createPageCompressor,
  encodeIndexPart,
  ImageLayerBuilder,
  indexObjectKey,
  KEY_MAX,
  KEY_MIN,
  type LayerMetadata,
  layerObjectKey,
  relBlockKey,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, forwardStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../testing/interleaving.ts';
import { PLACE } from '../testing/stored-timeline.ts';
import { openTimeline } from './open-timeline.ts';

/*
 * A relation in one image layer, which compaction replaces by two over half of the blocks each while it is read.
 */

const BLOCKS = 700;
const TAG = { spcNode: 1663, dbNode: 5, relNode: 16384, forkNum: 0 } as const;
const RANGE = { start: relBlockKey(TAG, 0), end: relBlockKey(TAG, BLOCKS) };
const END = lsn(0x2000n);
const IMAGES_AT = lsn(0x1000n);

/** Random: stored as they are, so that no layer is small enough to be held whole. */
const PAGES = Array.from({ length: BLOCKS }, (_, block) => {
  const random = randomOf(block);
  return Uint8Array.from({ length: 8192 }, () => Math.floor(random() * 256));
});

interface State {
  /** Where the blocks are divided among layers. */
  readonly cuts: readonly number[];
  readonly gcCutoffLsn?: Lsn;
}

/** Puts layers and then an index that names only those. Returns the keys of the layers. */
async function store(storage: Storage, { cuts, gcCutoffLsn = IMAGES_AT }: State): Promise<string[]> {
  const layers = new Map<string, LayerMetadata>();
  const keys: string[] = [];
  const bounds = [0, ...cuts, BLOCKS];
  for (const [index, first] of bounds.slice(0, -1).entries()) {
    const end = bounds[index + 1] ?? BLOCKS;
    const keyStart = first === 0 ? KEY_MIN : relBlockKey(TAG, first);
    const compressor = createPageCompressor();
    const builder = new ImageLayerBuilder({ ...PLACE, lsn: IMAGES_AT, keyStart });
    for (let block = first; block < end; block++) {
      builder.appendBlob(relBlockKey(TAG, block), compressor.encodeBlob(PAGES[block] ?? new Uint8Array()));
    }
    const built = builder.finish(end === BLOCKS ? KEY_MAX : relBlockKey(TAG, end));
    const key = layerObjectKey({ ...PLACE, layerName: built.name, generation: 1 });
    await storage.put(key, Uint8Array.from(Buffer.concat(built.chunks)));
    layers.set(built.name, { fileSize: built.sizeBytes, generation: 1 });
    keys.push(key);
  }
  const metadata = {
    diskConsistentLsn: END,
    ancestorLsn: lsn(0n),
    latestGcCutoffLsn: gcCutoffLsn,
    initdbLsn: IMAGES_AT,
    postgresMajor: 17,
  };
  const tenant = { tenantId: PLACE.tenantId, shard: UNSHARDED };
  const indexKey = indexObjectKey({ tenant, timelineId: PLACE.timelineId, generation: 1 });
  await storage.put(indexKey, encodeIndexPart({ layers, diskConsistentLsn: END, metadata }));
  return keys;
}

/** A storage in which something happens right before the `count`th reading of a layer. */
function beforeRead(storage: Storage, count: number, happens: () => Promise<void>): Storage {
  let left = count;
  return forwardStorage(storage, {
    get: async (key, options) => {
      if (key.includes('__') && --left === 0) await happens();
      return storage.get(key, options);
    },
  });
}

async function open(storage: Storage) {
  return openTimeline(storage, {
    tenant: PLACE.tenantId,
    timelineId: PLACE.timelineId,
    lsn: lsn(0x1800n),
    readAheadBytes: 64 * 1024,
    cacheBytes: 64 * 1024,
  });
}

/** A timeline whose one layer is replaced by `next` at a reading of it. */
async function replacedAt(count: number, next: State): Promise<Storage> {
  const storage = createMemoryStorage();
  const old = await store(storage, { cuts: [] });
  return beforeRead(storage, count, async () => {
    await store(storage, next);
    await storage.delete(old);
  });
}

describe('a timeline that is read while its layers are replaced', () => {
  it.each([1, 2, 3, 4, 6, 9])('gives every page once, replaced at reading %i', async (count) => {
    await using storage = await replacedAt(count, { cuts: [351] });
    const timeline = await open(storage);
    const blocks: number[] = [];
    for await (const batch of timeline.readPages(RANGE)) {
      blocks.push(...batch.blockNumbers.subarray(0, batch.pageCount));
    }
    timeline.close();
    expect(blocks).toEqual(Array.from({ length: BLOCKS }, (_, block) => block));
    expect(timeline.lsn).toBe(0x1800n);
  });

  it.each([1, 2, 3, 6])('gives every value once, replaced at reading %i', async (count) => {
    await using storage = await replacedAt(count, { cuts: [100, 351] });
    const timeline = await open(storage);
    const values: Uint8Array[] = [];
    for await (const entries of timeline.scan(RANGE)) values.push(...entries.map(({ value }) => value));
    timeline.close();
    expect(values.length).toBe(BLOCKS);
    expect(values.findIndex((value, block) => Buffer.compare(value, PAGES[block] ?? value) !== 0)).toBe(-1);
  });

  it('gives single keys and many at once', async () => {
    await using storage = await replacedAt(1, { cuts: [351] });
    const timeline = await open(storage);
    const keys = [0, 300, 351, 699, 800].map((block) => relBlockKey(TAG, block));
    const [many, one] = await Promise.all([timeline.getMany(keys), timeline.get(relBlockKey(TAG, 5))]);
    timeline.close();
    expect(many).toEqual([PAGES[0], PAGES[300], PAGES[351], PAGES[699], undefined]);
    expect(one).toEqual(PAGES[5]);
  });

  it('fails where the newest index still names the layer', async () => {
    await using memory = createMemoryStorage();
    const old = await store(memory, { cuts: [] });
    const storage = beforeRead(memory, 2, () => memory.delete(old));
    const timeline = await open(storage);
    await expect(timeline.getMany([relBlockKey(TAG, 3), relBlockKey(TAG, 600)])).rejects.toMatchObject({
      code: 'NEON_LAYER_TRUNCATED',
    });
    timeline.close();
  });

  it('fails where its LSN has been collected', async () => {
    await using storage = await replacedAt(2, { cuts: [351], gcCutoffLsn: lsn(0x1900n) });
    const timeline = await open(storage);
    await expect(timeline.get(relBlockKey(TAG, 600))).rejects.toMatchObject({
      code: 'NEON_LAYER_LSN_OUT_OF_RANGE',
    });
    timeline.close();
  });
});

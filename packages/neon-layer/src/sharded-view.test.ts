import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { expect, it } from 'vitest';
import { KEY_MAX, KEY_MIN, relBlockKey, relSizeKey, replOriginKey } from './key.ts';
import { parseKey } from './key-kind.ts';
import { shardOfKey } from './shard.ts';
import { openShardedView } from './sharded-view.ts';
import {
  at,
  imageValue,
  MAIN,
  memoryTimelines,
  recordValue,
  storeTimeline,
  TENANT,
} from './testing/memory-timeline.ts';
import type { TimelineReader } from './timeline-reader.ts';
import { openTimelineView } from './timeline-view.ts';

const COUNT = 3;
const BLOCKS = 40;
const SHARDING = { count: COUNT, stripeSize: 2 };
const ALL = { start: KEY_MIN, end: KEY_MAX };
const TAGS = [2700, 2701].map((relNode) => ({ spcNode: 1663, dbNode: 5, relNode, forkNum: 0 }) as const);
const SHARDS = Array.from({ length: COUNT }, (_, number) => ({ number, count: COUNT }));
const TENANTS = SHARDS.map((shard) => ({ tenantId: TENANT, shard }));

const page = (byte: number) => new Uint8Array(8192).fill(byte);
const blocks = TAGS.flatMap((tag, i) =>
  Array.from({ length: BLOCKS }, (_, block) => ({ key: relBlockKey(tag, block), byte: i * BLOCKS + block })),
);

/** Each shard has its own blocks, and as after a split wrong ones of the others; sizes of all but the first are too small. */
async function storeShards(ends: readonly number[] = [20, 20, 20]): Promise<Storage> {
  const storage = createMemoryStorage();
  for (const shard of SHARDS) {
    const isOwn = (key: Uint8Array) => shardOfKey(key, SHARDING) === shard.number;
    const pages = blocks.map(({ key, byte }) => [key, page(isOwn(key) ? byte : 0xff)] as const);
    const sizes = TAGS.map(
      (tag) => [relSizeKey(tag), Uint8Array.of(shard.number === 0 ? BLOCKS : 1)] as const,
    );
    const changes = blocks
      .filter(({ key, byte }) => isOwn(key) && byte % 7 === 0)
      .map(({ key, byte }) => [key, 15, recordValue(byte)] as const);
    const entries = [...pages, ...sizes].sort(([a], [b]) => Buffer.compare(a, b));
    const origin = [replOriginKey(7), 16, imageValue(Uint8Array.of(shard.number + 1))] as const;
    await storeTimeline(storage, {
      shard,
      end: ends[shard.number] ?? 0,
      layers: [
        { imageAt: 10, entries },
        { deltaOf: [11, 21], changes: [...changes, origin] },
      ],
    });
  }
  return storage;
}

const open = (storage: Storage, options: { readonly lsn?: number } = {}): Promise<TimelineReader> =>
  openShardedView(storage, {
    shards: TENANTS,
    timelineId: MAIN,
    stripeSize: SHARDING.stripeSize,
    redo: async ({ base }) => Uint8Array.from(base ?? page(0)),
    ...(options.lsn === undefined ? {} : { lsn: at(options.lsn) }),
  });

it('a timeline in shards reads as one in one piece', async () => {
  const view = await open(await storeShards());
  const found: number[] = [];
  const others: string[] = [];
  for await (const entries of view.scan(ALL)) {
    for (const { key, value } of entries) {
      const { kind } = parseKey(key);
      if (kind === 'relation-block') found.push(value[0] ?? -1);
      else others.push(`${kind} ${value[0]}`);
    }
  }
  expect(found).toEqual(blocks.map(({ byte }) => byte));
  expect(others).toEqual([`relation-size ${BLOCKS}`, `relation-size ${BLOCKS}`, 'replication-origin 1']);
});

it('pages come in batches in key order, with their changes, in memory that is given', async () => {
  const view = await open(await storeShards());
  let memoryCount = 0;
  const memory = () => {
    memoryCount += 1;
    return new Uint8Array(2 * 1024 * 1024);
  };
  const found: string[] = [];
  const changed: number[] = [];
  let batchCount = 0;
  for await (const batch of view.readPages(ALL, { memory })) {
    batchCount += 1;
    for (const { tag, pageStart, pageEnd } of batch.runs) {
      for (let i = pageStart; i < pageEnd; i += 1) found.push(`${tag.relNode}/${batch.blockNumbers[i]}`);
    }
    for (const position of batch.changes?.positions ?? [])
      changed.push(found.length - batch.pageCount + position);
    expect(batch.lengths.reduce((sum, length) => sum + length, 0)).toBe(batch.blobs.length);
  }
  expect(found).toEqual(
    TAGS.flatMap(({ relNode }) => Array.from({ length: BLOCKS }, (_, i) => `${relNode}/${i}`)),
  );
  expect(changed).toEqual(blocks.flatMap(({ byte }, i) => (byte % 7 === 0 ? [i] : [])));
  expect(memoryCount).toBe(batchCount);
});

it('keys are asked of the shard that has them', async () => {
  const view = await open(await storeShards());
  const keys = blocks.map(({ key }) => key);
  expect((await view.getMany(keys)).map((value) => value?.[0])).toEqual(blocks.map(({ byte }) => byte));
  expect((await view.get(keys[33] ?? KEY_MIN))?.[0]).toBe(33);
});

it('the end is what every shard has reached', async () => {
  const storage = await storeShards([20, 18, 19]);
  expect((await open(storage)).lsn).toBe(18n);
  expect((await open(storage, { lsn: 17 })).lsn).toBe(17n);
  await expect(open(storage, { lsn: 19 })).rejects.toMatchObject({ code: 'NEON_LAYER_LSN_OUT_OF_RANGE' });
});

it('a missing shard and an unknown stripe size are refused', async () => {
  const storage = await storeShards();
  const without = openShardedView(storage, { shards: TENANTS.slice(1), timelineId: MAIN, stripeSize: 2 });
  await expect(without).rejects.toMatchObject({ code: 'NEON_LAYER_INVALID_ARGUMENT' });
  const unknown = openShardedView(storage, { shards: TENANTS, timelineId: MAIN });
  await expect(unknown).rejects.toMatchObject({ code: 'NEON_LAYER_UNSUPPORTED' });
});

it('a branch is read before its branch point only where its ancestor still can be', async () => {
  const layers = [{ imageAt: 2, entries: [[KEY_MIN, Uint8Array.of(1)]] }] as const;
  const branchId = 'b'.repeat(32);
  const readable = async (gcCutoff: number, lsn: number) => {
    const ancestor = { timelineId: MAIN, at: 20 };
    const branch = { timelineId: branchId, end: 30, layers: [], gcCutoff: 5, ancestor };
    const storage = await memoryTimelines({ end: 40, layers, gcCutoff }, branch);
    const view = openTimelineView(storage, { tenant: TENANT, timelineId: branchId, lsn: at(lsn) });
    return view.then(
      () => true,
      () => false,
    );
  };
  expect([await readable(10, 9), await readable(10, 10), await readable(10, 20)]).toEqual([
    false,
    true,
    true,
  ]);
  expect([await readable(35, 19), await readable(35, 20), await readable(3, 5)]).toEqual([false, true, true]);
});

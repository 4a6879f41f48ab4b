import { describe, expect, it } from 'vitest';
import { CHECKPOINT_KEY, relBlockKey, relSizeKey, slruBlockKey } from './key.ts';
import { isLocalKey, shardOfKey } from './shard.ts';

const tag = (relNode: number) => ({ spcNode: 1663, dbNode: 5, relNode, forkNum: 0 }) as const;

describe('the shard of a key', () => {
  it("equals Neon's vector", () => {
    expect(shardOfKey(relBlockKey(tag(0x400c), 0x7d06), { count: 10, stripeSize: 32768 })).toBe(8);
  });

  it('changes from stripe to stripe', () => {
    const shards = [0, 2047, 2048, 4096, 6144, 8192].map((block) =>
      shardOfKey(relBlockKey(tag(2700), block), { count: 4, stripeSize: 2048 }),
    );
    expect(shards).toEqual([3, 3, 2, 1, 2, 0]);
  });

  it('is the first one for init forks and all that is no relation block; sizes are everywhere', () => {
    const sharding = { number: 1, count: 2, stripeSize: 16 };
    expect(shardOfKey(relBlockKey({ ...tag(2700), forkNum: 3 }, 0), sharding)).toBe(0);
    expect(shardOfKey(slruBlockKey('clog', 0, 0), sharding)).toBe(0);
    expect([isLocalKey(relSizeKey(tag(2700)), sharding), isLocalKey(CHECKPOINT_KEY, sharding)]).toEqual([
      true,
      true,
    ]);
    expect(isLocalKey(relBlockKey({ ...tag(2700), forkNum: 3 }, 0), sharding)).toBe(false);
  });
});

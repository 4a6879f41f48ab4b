import type { ShardIndex } from './identifiers.ts';
import { fieldsOfKey, SIZE_KEY_BLOCK } from './key.ts';

/** How a tenant's relation pages are spread over its shards. */
export interface Sharding extends ShardIndex {
  /** Blocks that stay together; from the tenant manifest. */
  readonly stripeSize: number;
}

/** The init fork is never sharded. */
const INIT_FORK = 3;

/** Number of the shard that answers for a key: 0 for everything but relation blocks. */
export function shardOfKey(key: Uint8Array, { count, stripeSize }: Omit<Sharding, 'number'>): number {
  const [kind, , , relNode, forkNum, blockNumber] = fieldsOfKey(key);
  if (count <= 1 || kind !== 0 || relNode === 0 || blockNumber === SIZE_KEY_BLOCK || forkNum === INIT_FORK)
    return 0;
  const a = mix(relNode);
  const b = (mix(Math.floor(blockNumber / stripeSize)) + 0x9e3779b9 + (a << 6) + (a >>> 2)) >>> 0;
  return ((a ^ b) >>> 0) % count;
}

/** True when a shard's own layers answer for the key: sizes, directories and the like are on every shard. */
export function isLocalKey(key: Uint8Array, sharding: Sharding): boolean {
  const [kind, , , relNode, , blockNumber] = fieldsOfKey(key);
  if (kind !== 0 || relNode === 0 || blockNumber === SIZE_KEY_BLOCK) return true;
  return shardOfKey(key, sharding) === sharding.number;
}

/** The finalizer of MurmurHash3 on u32. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

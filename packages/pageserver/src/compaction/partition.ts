/**
 * The key space in parts, each of which gets image layers as a whole (Neon's `KeyPartitioning`). They follow each other without a gap,
 * from the first key to the last, so that image layers hold every live key whatever lies between them.
 */
import { KEY_MAX, KEY_MIN, type KeyRange } from '@neon-snapshot/neon-layer';
import type { LiveKeys } from './keyspace.ts';

export interface KeyPartition {
  readonly range: KeyRange;
  /** Inside of the range, ascending. */
  readonly keys: readonly LiveKeys[];
}

/** Cuts so that each part has at most so many keys; a long relation is cut between blocks. */
export function partitionKeys(keyspace: readonly LiveKeys[], keysMax: number): readonly KeyPartition[] {
  const parts: { readonly start: Uint8Array; readonly keys: LiveKeys[]; count: number }[] = [];
  for (const live of keyspace) {
    for (let taken = 0; taken < live.count; ) {
      let part = parts.at(-1);
      if (part === undefined || part.count >= keysMax) {
        part = { start: part === undefined ? KEY_MIN : keyBehind(live.key, taken), keys: [], count: 0 };
        parts.push(part);
      }
      const count = Math.min(live.count - taken, keysMax - part.count);
      part.keys.push({ ...live, key: keyBehind(live.key, taken), count });
      part.count += count;
      taken += count;
    }
  }
  return parts.map(({ start, keys }, i) => ({
    range: { start, end: parts[i + 1]?.start ?? KEY_MAX },
    keys,
  }));
}

/** The key whose block number is higher by `count`. */
export function keyBehind(key: Uint8Array, count: number): Uint8Array {
  const behind = Uint8Array.from(key);
  const view = new DataView(behind.buffer);
  view.setUint32(14, view.getUint32(14) + count);
  return behind;
}

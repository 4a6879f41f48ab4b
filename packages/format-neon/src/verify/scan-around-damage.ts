import {
  compareKeys,
  isNeonLayerError,
  type KeyRange,
  type KeyValue,
  keyFromHex,
  type NeonLayerError,
  nextKey,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';

export interface ScanOptions {
  /**
   * Told of each value that cannot be read, between the values before and after it; the key is undefined where a whole layer is
   * damaged.
   */
  readonly onDamage: (error: NeonLayerError, key: Uint8Array | undefined) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Values that are read around at most: each costs the rest of its unit being read again. */
const DAMAGED_MAX = 200;

interface Damage {
  readonly error: NeonLayerError;
  readonly key: Uint8Array;
}

/** All values of a range in key order; one that cannot be read is told and left out. Where the damage has no key the scan ends. */
export async function* scanAroundDamage(
  view: TimelineReader,
  range: KeyRange,
  { onDamage, signal }: ScanOptions,
): AsyncGenerator<KeyValue, void, undefined> {
  // The nearest last.
  const rest: (KeyRange | Damage)[] = [range];
  let damaged = 0;
  for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
    if ('error' in part) {
      onDamage(part.error, part.key);
      continue;
    }
    let { start } = part;
    try {
      for await (const batch of view.scan({ start, end: part.end }, { signal })) {
        for (const entry of batch) {
          yield entry;
          start = nextKey(entry.key);
        }
      }
    } catch (error) {
      if (!isNeonLayerError(error)) throw error;
      const key = keyOf(error, { start, end: part.end });
      damaged += 1;
      if (key === undefined || damaged > DAMAGED_MAX) {
        onDamage(error, undefined);
        return;
      }
      rest.push({ start: nextKey(key), end: part.end }, { error, key });
      // Values that would have come with it.
      if (compareKeys(start, key) < 0) rest.push({ start, end: key });
    }
  }
}

function keyOf(error: NeonLayerError, { start, end }: KeyRange): Uint8Array | undefined {
  const hex = error.context.key;
  if (typeof hex !== 'string') return undefined;
  const key = keyFromHex(hex);
  return compareKeys(key, start) >= 0 && compareKeys(key, end) < 0 ? key : undefined;
}

import { keyToHex, nextKey } from '@neon-snapshot/neon-layer';
import { formatLsn } from '@neon-snapshot/postgres';
import { collectKeyspace, type LiveKeys } from '../compaction/keyspace.ts';
import type { Timeline } from '../timeline/timeline.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';

/** Aux files, replication origins and the newer relation directory: keys that no directory lists. */
const SPARSE_RANGES: readonly (readonly [prefixStart: string, prefixEnd: string])[] = [
  ['62', '63'],
  ['63', '63000000000000000000000000000001'],
  ['65', '66'],
];
const KEY_HEX_LENGTH = 36;
const BLOCK_OFFSET = 14;

/** Neon's answer to `keyspace`: the keys that the timeline has at an LSN as ranges, ends exclusive. Forks without blocks give none. */
export async function keyspaceInfo(
  timeline: Timeline,
  lsn: Timeline['lastRecordLsn'],
  options: CallOptions,
): Promise<Record<string, unknown>> {
  const reader = await timeline.readerAt(lsn, options);
  try {
    const ranges = mergeRanges((await collectKeyspace(reader, options)).map(rangeOf));
    const sparse = SPARSE_RANGES.map((range) => range.map((prefix) => prefix.padEnd(KEY_HEX_LENGTH, '0')));
    return { keys: ranges, sparse_keys: sparse, at_lsn: formatLsn(lsn) };
  } finally {
    reader.close();
  }
}

function rangeOf({ key, count }: LiveKeys): readonly [start: string, end: string] {
  const last = Uint8Array.from(key);
  const view = new DataView(last.buffer);
  view.setUint32(BLOCK_OFFSET, view.getUint32(BLOCK_OFFSET) + count - 1);
  return [keyToHex(key), keyToHex(nextKey(last))];
}

function mergeRanges(ranges: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  const merged: (readonly [string, string])[] = [];
  for (const [start, end] of ranges) {
    const before = merged.at(-1);
    if (before?.[1] === start) merged[merged.length - 1] = [before[0], end];
    else merged.push([start, end]);
  }
  return merged;
}

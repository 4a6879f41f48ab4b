/**
 * Which keys a timeline has at an LSN (Neon's `collect_keyspace`): what its directories and sizes say. Blocks of dropped or truncated
 * relations are in layers, but not here: image layers leave them out, and so they end with the history behind it.
 */
import {
  AUX_FILES_V1_KEY,
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  compareKeys,
  DBDIR_KEY,
  relBlockKey,
  relDirKey,
  relMapKey,
  relSizeKey,
  SLRU_KINDS,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
  type TimelineReader,
  TWO_PHASE_DIRECTORY_KEY,
  twoPhaseFileKey,
} from '@neon-snapshot/neon-layer';
import { readTimelineDirectories, usesNewRelationDirectory } from '@neon-snapshot/neon-timeline';
import type { RelTag } from '@neon-snapshot/postgres';
import type { CallOptions } from '../timeline/timeline-types.ts';

/** Keys that differ in their last field, the block number, only: `count` of them from `key` on. */
export interface LiveKeys {
  readonly key: Uint8Array;
  /** At least 1. */
  readonly count: number;
  /** Set for the blocks of a relation fork. */
  readonly tag: RelTag | undefined;
}

/** The live keys below the sparse ones, ascending. */
export async function collectKeyspace(
  view: TimelineReader,
  options: CallOptions = {},
): Promise<readonly LiveKeys[]> {
  const { databases, slruSegments, preparedXids } = await readTimelineDirectories(view, options);
  const maybe = usesNewRelationDirectory(view)
    ? databases.map(({ spcNode, dbNode }) => relDirKey(spcNode, dbNode))
    : [];
  const left = await presentKeys(view, [...maybe, AUX_FILES_V1_KEY], options);
  const keys = [
    ...[DBDIR_KEY, TWO_PHASE_DIRECTORY_KEY, CONTROL_FILE_KEY, CHECKPOINT_KEY, ...left].map(single),
    ...SLRU_KINDS.map((slru) => single(slruDirKey(slru))),
    ...preparedXids.map((xid) => single(twoPhaseFileKey(xid))),
  ];
  for (const { spcNode, dbNode, hasRelationMap, forks } of databases) {
    if (hasRelationMap) keys.push(single(relMapKey(spcNode, dbNode)));
    if (!usesNewRelationDirectory(view)) keys.push(single(relDirKey(spcNode, dbNode)));
    for (const { tag, blockCount } of forks)
      keys.push(...run(relBlockKey(tag, 0), blockCount, tag), single(relSizeKey(tag)));
  }
  for (const { slru, segno, blockCount } of slruSegments)
    keys.push(...run(slruBlockKey(slru, segno, 0), blockCount), single(slruSizeKey(slru, segno)));
  return keys.sort((a, b) => compareKeys(a.key, b.key));
}

/** Which of the keys have a value; an empty one is none. */
async function presentKeys(
  view: TimelineReader,
  keys: readonly Uint8Array[],
  options: CallOptions,
): Promise<readonly Uint8Array[]> {
  const ordered = keys.toSorted(compareKeys);
  const values = await view.getMany(ordered, options);
  return ordered.filter((_, index) => (values[index]?.length ?? 0) > 0);
}

function single(key: Uint8Array): LiveKeys {
  return { key, count: 1, tag: undefined };
}

function run(key: Uint8Array, count: number, tag?: RelTag): LiveKeys[] {
  return count === 0 ? [] : [{ key, count, tag }];
}

import { parseRelationPath, parseSlruPath } from '@neon-snapshot/postgres';

/**
 * The canonical order of file paths, as a comparison function:
 *
 * 1. relation segments by (tablespace, database, relfilenode, fork, segment), numerically;
 * 2. SLRU segments by (kind, segment), kinds in the order pg_xact, multixact members, multixact offsets;
 * 3. every other file by its path, code unit by code unit.
 *
 * That is the key order of a page server, so that a writer of sorted layers can stream. To sort many paths use
 * {@link sortCanonically}, which parses each path once.
 */
export function canonicalOrder(pathA: string, pathB: string): number {
  return compareRanks(rankOf(pathA), rankOf(pathB));
}

/** A new array of the items in {@link canonicalOrder} of their paths. */
export function sortCanonically<T extends { readonly path: string }>(items: readonly T[]): T[] {
  const ranked = items.map((item) => ({ item, rank: rankOf(item.path) }));
  ranked.sort((a, b) => compareRanks(a.rank, b.rank));
  return ranked.map(({ item }) => item);
}

interface PathRank {
  readonly group: number;
  readonly numbers: readonly number[];
  readonly path: string;
}

const RELATION_GROUP = 0;
const SLRU_GROUP = 1;
const OTHER_GROUP = 2;
const SLRU_KINDS = ['clog', 'multixact_members', 'multixact_offsets'];

function rankOf(path: string): PathRank {
  const relation = parseRelationPath(path);
  if (relation !== undefined) {
    const { spcNode, dbNode, relNode, forkNum } = relation.tag;
    return { group: RELATION_GROUP, numbers: [spcNode, dbNode, relNode, forkNum, relation.segno], path };
  }
  const slru = parseSlruPath(path);
  if (slru !== undefined) {
    return { group: SLRU_GROUP, numbers: [SLRU_KINDS.indexOf(slru.kind), slru.segno], path };
  }
  return { group: OTHER_GROUP, numbers: [], path };
}

function compareRanks(a: PathRank, b: PathRank): number {
  if (a.group !== b.group) return a.group - b.group;
  for (const [index, value] of a.numbers.entries()) {
    const difference = value - (b.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (a.path === b.path) return 0;
  return a.path < b.path ? -1 : 1;
}

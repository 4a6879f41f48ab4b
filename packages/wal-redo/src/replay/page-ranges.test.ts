import type { RelTag } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { RANGE_BLOCKS } from './page-arena.ts';
import { PageRanges } from './page-ranges.ts';

const NO_PAGES = { readBlocks: () => {} };

function tag(relNode: number): RelTag {
  return { spcNode: 1663, dbNode: 5, relNode, forkNum: 0 };
}

describe('the shares of page ranges', () => {
  const changes = [
    // Two relations of one page that are changed all the time, and a large one that is changed everywhere.
    ...Array.from({ length: 3000 }, (_, index) => [
      [1, 0] as const,
      [3, 1] as const,
      [5, index] as const,
    ]).flat(),
  ];

  it.each([1, 2, 3])('among %i threads give each page to one, and each about as many changes', (count) => {
    const threads = Array.from({ length: count }, (_, index) => new PageRanges(NO_PAGES, { index, count }));
    const kept = threads.map(() => 0);
    const owners = new Map<string, number>();
    for (const [relNode, block] of changes) {
      const mine = threads.map((thread) => thread.has(tag(relNode), block));
      const owner = mine.indexOf(true);
      expect(mine.filter((isMine) => isMine)).toHaveLength(1);
      const range = `${relNode}/${Math.floor(block / RANGE_BLOCKS)}`;
      expect(owners.get(range) ?? owner).toBe(owner);
      owners.set(range, owner);
      kept[owner] = (kept[owner] ?? 0) + 1;
    }
    expect(Math.max(...kept)).toBeLessThan((changes.length / count) * 1.1);
  });
});

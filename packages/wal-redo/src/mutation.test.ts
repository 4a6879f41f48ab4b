import { findPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bytes, setU16, setU32, u16, u32 } from './bytes.ts';
import { pdLower, setPdLower } from './page/header.ts';
import { itemStart, maxOffsetNumber } from './page/line-pointer.ts';
import { createRedoEngine } from './redo-engine.ts';
import { checkConsistency } from './testing/check-consistency.ts';
import { type Mutation, mutateEngine } from './testing/mutated-engine.ts';
import type { RedoCluster } from './testing/redo-cluster.ts';
import { engineFor, makeHarnessCluster } from './testing/redo-harness.ts';

const BTREE_FLAGS_AT = 8176 + 12;
const GIN_MAXOFF_AT = 8184 + 4;

const lastItem = (page: Bytes): number => itemStart(page, maxOffsetNumber(page));

const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a deletion that forgets xmax',
    operation: 'Heap/delete',
    blockId: 0,
    damage: (page, record) =>
      setU32(page, itemStart(page, u16(new Bytes(record.bytes), record.mainOffset + 4)) + 4, 0),
  },
  {
    name: 'an insertion whose ctid is one off',
    operation: 'Heap/insert',
    blockId: 0,
    damage: (page) => setU16(page, lastItem(page) + 16, u16(page, lastItem(page) + 16) + 1),
  },
  {
    name: 'a lock that loses a bit',
    operation: 'Heap/lock',
    blockId: 0,
    damage: (page, record) => {
      const at = itemStart(page, u16(new Bytes(record.bytes), record.mainOffset + 4)) + 18;
      setU16(page, at, u16(page, at) ^ 0x2000);
    },
  },
  {
    name: 'a split that is not marked as incomplete',
    operation: 'Btree/splitRight',
    blockId: 0,
    damage: (page) => setU16(page, BTREE_FLAGS_AT, u16(page, BTREE_FLAGS_AT) & ~128),
  },
  {
    name: 'an item too few on a leaf',
    operation: 'Btree/insertLeaf',
    blockId: 0,
    damage: (page) => setPdLower(page, pdLower(page) - 4),
  },
  {
    name: 'a pending list that does not count its rows',
    operation: 'Gin/insertListpage',
    blockId: 0,
    damage: (page) => setU16(page, GIN_MAXOFF_AT, u16(page, GIN_MAXOFF_AT) + 1),
  },
  {
    name: 'a range map entry in the wrong place',
    operation: 'BRIN/insert',
    blockId: 1,
    damage: (page) => setU32(page, 24 + 6 * 1359, u32(page, 24 + 6 * 1359) + 1),
  },
];

/** The harness is worth what it finds. */
describe('the consistency harness', () => {
  let cluster: RedoCluster;

  beforeAll(async () => {
    const installation = await findPostgres({ major: 15 });
    const settings = { wal_consistency_checking: 'all' };
    const workload = { scale: 0.08, rounds: 1, special: false, checkpoints: false };
    cluster = await makeHarnessCluster({ ...workload, installation, settings });
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  it('finds nothing in redo as it is', () => {
    expect(checkConsistency(cluster, engineFor(cluster)).problems).toEqual([]);
  });

  it.each(MUTATIONS)('finds $name', (mutation) => {
    const report = checkConsistency(cluster, mutateEngine(engineFor(cluster), mutation));
    expect(report.different).toBeGreaterThan(0);
    expect(report.problems[0]).toContain(mutation.operation);
  });

  it.each([
    ['the records of another major', { major: 17, heapLayout: 'stock' }],
    ['the heap layout of another Postgres', { major: 15, heapLayout: 'neon' }],
  ] as const)('finds %s', (_, options) => {
    const engine = createRedoEngine({ ...options, hintBitsLogged: false });
    expect(checkConsistency(cluster, engine).different).toBeGreaterThan(0);
  });

  it('finds GiST pages that are not marked as the primary of this minor marks them', () => {
    const report = checkConsistency(cluster, engineFor(cluster, { gistTuplesDeleted: 'none' }));
    expect(report.different).toBeGreaterThan(0);
    expect(report.problems.every((problem) => problem.includes('Gist/pageUpdate'))).toBe(true);
  });
});

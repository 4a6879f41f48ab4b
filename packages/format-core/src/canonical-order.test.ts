import { expect, test } from 'vitest';
import { canonicalOrder, sortCanonically } from './canonical-order.ts';

const SORTED = [
  'base/1/2619',
  'base/1/2619_fsm',
  'base/1/2619_vm',
  'base/1/10000',
  'base/5/1259',
  'base/5/1259.1',
  'base/5/1259.2',
  'base/5/1259.10',
  'base/5/16384_init',
  'base/16400/112',
  'global/1260',
  'pg_tblspc/16500/PG_17_202406281/5/9',
  'pg_tblspc/16500/PG_17_202406281/5/16385',
  'pg_xact/0000',
  'pg_xact/FFFF',
  'pg_xact/10000',
  'pg_multixact/members/0000',
  'pg_multixact/offsets/0000',
  'PG_VERSION',
  'base/1/PG_VERSION',
  'base/1/pg_filenode.map',
  'global/pg_filenode.map',
  'pg_wal/000000010000000000000001',
];

test('relation segments come in key order, then SLRU segments, then the rest by path', () => {
  const shuffled = SORTED.map((path, index) => ({ path, weight: (index * 7919) % 23 }));
  shuffled.sort((a, b) => a.weight - b.weight);
  expect(sortCanonically(shuffled).map((item) => item.path)).toEqual(SORTED);
});

test('the comparison is antisymmetric and zero only for the same path', () => {
  for (const [a, pathA] of SORTED.entries()) {
    for (const [b, pathB] of SORTED.entries()) {
      expect(Math.sign(canonicalOrder(pathA, pathB))).toBe(Math.sign(a - b));
    }
  }
});

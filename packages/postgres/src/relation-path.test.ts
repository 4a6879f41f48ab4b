import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareRelTags,
  type ForkNumber,
  formatRelationPath,
  isTempRelationName,
  parseRelationPath,
} from './relation-path.ts';
import { expectFormatError } from './testing/expect-format-error.ts';

const VERSION_DIRECTORY = 'PG_17_202406281';
const oid = fc.integer({ min: 1, max: 0xffff_ffff });
const forkNum = fc.constantFrom<ForkNumber>(0, 1, 2, 3);

describe('relation path', () => {
  it.each([
    ['global/1262', { spcNode: 1664, dbNode: 0, relNode: 1262, forkNum: 0 }, 0],
    ['base/5/1259_fsm.1', { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 1 }, 1],
    ['base/5/1259_vm', { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 2 }, 0],
    ['base/16384/16385_init', { spcNode: 1663, dbNode: 16384, relNode: 16385, forkNum: 3 }, 0],
    [
      'pg_tblspc/16400/PG_17_202406281/5/16401.12',
      { spcNode: 16400, dbNode: 5, relNode: 16401, forkNum: 0 },
      12,
    ],
  ])('%s names a segment of a fork', (path, tag, segno) => {
    expect(parseRelationPath(path)).toEqual({ tag, segno });
    expect(
      formatRelationPath({ ...tag, forkNum: tag.forkNum as ForkNumber }, segno, {
        tablespaceVersionDirectory: VERSION_DIRECTORY,
      }),
    ).toBe(path);
  });

  it.each([
    'base/5/PG_VERSION',
    'base/5/pg_filenode.map',
    'base/5/t3_16408',
    'base/5/0',
    'base/5/01259',
    'base/5/1259.0',
    'base/5/1259.01',
    'base/5/1259.32768',
    'base/5/4294967296',
    'base/5/1259_fsm_vm',
    'base/5/1259_init.tmp',
    'base/5/1259 ',
    'base/1259',
    'base/../1259',
    'global/pg_control',
    'global/5/1259',
    'pg_tblspc/16400/5/16401',
    '/base/5/1259',
    './base/5/1259',
  ])('%s names no relation', (path) => {
    expect(parseRelationPath(path)).toBeUndefined();
  });

  it('survives printing and parsing', () => {
    const tag = fc
      .record({ spcNode: fc.oneof(oid, fc.constantFrom(1663, 1664)), dbNode: oid, relNode: oid, forkNum })
      .map((t) => ({ ...t, dbNode: t.spcNode === 1664 ? 0 : t.dbNode }));
    fc.assert(
      fc.property(tag, fc.nat(32767), (value, segno) => {
        const path = formatRelationPath(value, segno, { tablespaceVersionDirectory: VERSION_DIRECTORY });
        expect(parseRelationPath(path)).toEqual({ tag: value, segno });
      }),
    );
  });

  it('of impossible numbers is refused', () => {
    const tag = { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 0 } as const;
    expectFormatError(() => formatRelationPath({ ...tag, relNode: 0 }, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => formatRelationPath({ ...tag, dbNode: 0 }, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => formatRelationPath({ ...tag, spcNode: 1664 }, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => formatRelationPath({ ...tag, spcNode: 16400 }, 0), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => formatRelationPath(tag, -1), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => formatRelationPath(tag, 32768), 'POSTGRES_OUT_OF_RANGE');
  });

  it('orders by tablespace, database, relfilenode and fork', () => {
    const paths = [
      'base/5/1259_vm',
      'base/5/1259',
      'global/1262',
      'base/10/2',
      'base/5/16384',
      'base/5/9999',
    ];
    const sorted = paths
      .flatMap((path) => parseRelationPath(path) ?? [])
      .sort((a, b) => compareRelTags(a.tag, b.tag))
      .map(({ tag, segno }) => formatRelationPath(tag, segno));
    expect(sorted).toEqual([
      'base/5/1259',
      'base/5/1259_vm',
      'base/5/9999',
      'base/5/16384',
      'base/10/2',
      'global/1262',
    ]);
  });

  it('of a temporary relation is told apart', () => {
    expect(['t3_16408', 't3_16408_fsm', 't12_5_vm.1'].every(isTempRelationName)).toBe(true);
    expect(['16408', 't_16408', 't3_', 't3_16408_x', 'xt3_16408'].some(isTempRelationName)).toBe(false);
  });
});

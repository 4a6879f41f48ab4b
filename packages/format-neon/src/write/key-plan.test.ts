import type { PlannedFile } from '@neon-snapshot/format-core';
import {
  compareKeys,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSizeValue,
  KEY_MAX,
  KEY_MIN,
  keyToHex,
} from '@neon-snapshot/neon-layer';
import { describe, expect, test } from 'vitest';
import { elementEnd, elementStart, type HeldRun, type KeyPlan, planKeys, sizeValueOf } from './key-plan.ts';

const PAGE = 8192;
const SEGMENT = 131072 * PAGE;
const ESSENTIAL: readonly PlannedFile[] = [
  { path: 'global/pg_filenode.map', sizeBytes: 524 },
  { path: 'pg_xact/0000', sizeBytes: PAGE },
  { path: 'pg_multixact/members/0000', sizeBytes: PAGE },
  { path: 'pg_multixact/offsets/0000', sizeBytes: PAGE },
];

function plan(...files: readonly [string, number][]): KeyPlan {
  return planKeys({
    files: [...files.map(([path, sizeBytes]) => ({ path, sizeBytes })), ...ESSENTIAL],
    postgresMajor: 17,
  });
}

function codeOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}

function knownValues(plan: KeyPlan): Map<string, Uint8Array> {
  const runs = plan.elements.filter((element): element is HeldRun => element.kind === 'held');
  const values = runs.flatMap(({ values }) => values);
  return new Map(
    values.flatMap((value) => (value.kind === 'known' ? [[keyToHex(value.key), value.value]] : [])),
  );
}

describe('the plan of keys', () => {
  test('elements cover the keyspace in order, without gap or overlap', () => {
    const { elements } = plan(
      ['base/5/1259', 3 * PAGE],
      ['base/5/1259_vm', PAGE],
      ['base/5/pg_filenode.map', 524],
      ['base/16384/2000', 0],
      ['base/16384/pg_filenode.map', 524],
      ['global/1262', PAGE],
      ['pg_twophase/00000000000002E1', 200],
    );
    expect(keyToHex(elementStart(elements[0] ?? never()))).toBe(keyToHex(KEY_MIN));
    expect(keyToHex(elementEnd(elements.at(-1) ?? never()))).toBe(keyToHex(KEY_MAX));
    for (const [index, element] of elements.entries()) {
      const next = elements[index + 1];
      if (next !== undefined) expect(elementEnd(element)).toEqual(elementStart(next));
      expect(compareKeys(elementStart(element), elementEnd(element))).toBeLessThan(0);
    }
  });

  test('order of the plan does not matter', () => {
    const files: [string, number][] = [
      ['base/5/1259.1', PAGE],
      ['base/5/pg_filenode.map', 524],
      ['base/5/1259', SEGMENT],
      ['base/16384/pg_filenode.map', 524],
    ];
    const starts = ({ elements }: KeyPlan) => elements.map((element) => keyToHex(elementStart(element)));
    expect(starts(plan(...files))).toEqual(starts(plan(...files.toReversed())));
  });

  test('directories list every database, relation fork and segment', () => {
    const values = knownValues(
      plan(
        ['base/5/1259', PAGE],
        ['base/5/1259_fsm', PAGE],
        ['base/5/pg_filenode.map', 524],
        ['base/7/1', 0],
      ),
    );
    expect(decodeDbDirectory(values.get('0'.repeat(36)) ?? never())).toEqual([
      { spcNode: 1663, dbNode: 5, hasRelationMap: true },
      { spcNode: 1663, dbNode: 7, hasRelationMap: false },
      { spcNode: 1664, dbNode: 0, hasRelationMap: true },
    ]);
    expect(decodeRelDirectory(values.get('000000067F00000005000000000000000001') ?? never())).toMatchObject([
      { relNode: 1259, forkNum: 0 },
      { relNode: 1259, forkNum: 1 },
    ]);
    expect(decodeSizeValue(values.get('0100000000000000010000000000FFFFFFFF') ?? never())).toBe(1);
  });

  test('the size of a relation comes after its last segment and counts all of them', () => {
    const { streamed } = plan(['base/5/1259', SEGMENT], ['base/5/1259.1', 2 * PAGE]);
    expect(streamed.get('base/5/1259')?.blocksTotal).toBeUndefined();
    const size = sizeValueOf(streamed.get('base/5/1259.1') ?? never());
    expect(decodeSizeValue(size?.value ?? never())).toBe(131074);
    expect(keyToHex(size?.key ?? never())).toBe('000000067F00000005000004EB00FFFFFFFF');
  });

  test('empty segments that truncation left behind are passed over', () => {
    const { streamed } = plan(['base/5/1259', PAGE], ['base/5/1259.1', 0], ['base/5/1259.2', 0]);
    expect([...streamed.keys()]).toEqual(['base/5/1259']);
    const full = plan(['base/5/1259', SEGMENT], ['base/5/1259.1', 0]);
    expect(full.streamed.get('base/5/1259')?.blocksTotal).toBe(131072);
  });

  test.each([
    ['a segment behind a short one', ['base/5/1259', PAGE], ['base/5/1259.1', PAGE]],
    ['a missing first segment', ['base/5/1259.1', PAGE]],
    ['a segment behind a missing one', ['base/5/1259', SEGMENT], ['base/5/1259.2', PAGE]],
    ['half a page', ['base/5/1259', PAGE + 1]],
    ['a transaction status segment of 33 pages', ['pg_xact/0001', 33 * PAGE]],
  ] as [string, ...[string, number][]][])('%s is damage', (_, ...files) => {
    expect(codeOf(() => plan(...files))).toBe('FORMAT_INVALID');
  });

  test('of a backup, segments that do not fit together end where the first is short: WAL brings the rest', () => {
    const files: [string, number][] = [
      ['base/5/1259', PAGE],
      ['base/5/1259.1', PAGE],
      ['base/5/1260.1', PAGE],
      ['base/5/1261', SEGMENT],
      ['base/5/1261.2', PAGE],
    ];
    const planned = planKeys({
      files: [...files.map(([path, sizeBytes]) => ({ path, sizeBytes })), ...ESSENTIAL],
      postgresMajor: 17,
      isBackup: true,
    });
    expect([...planned.streamed.keys()]).toEqual(['base/5/1259', 'base/5/1261']);
    expect(planned.streamed.get('base/5/1259')?.blocksTotal).toBe(1);
  });

  test('of an unlogged relation only the init fork is kept', () => {
    const { streamed } = plan(
      ['base/5/16400', 9 * PAGE],
      ['base/5/16400_fsm', PAGE],
      ['base/5/16400_init', PAGE],
    );
    expect([...streamed.keys()]).toEqual(['base/5/16400_init']);
  });

  test('user tablespaces are refused', () => {
    expect(codeOf(() => plan(['pg_tblspc/16400/PG_17_202406281/5/16401', PAGE]))).toBe('FORMAT_UNSUPPORTED');
  });

  test('a plan without shared catalogs is no cluster', () => {
    expect(codeOf(() => planKeys({ files: [{ path: 'base/5/1', sizeBytes: 0 }], postgresMajor: 17 }))).toBe(
      'FORMAT_INVALID',
    );
  });

  test('much transaction status is streamed instead of held', () => {
    const segments = Array.from({ length: 40 }, (_, index): [string, number] => [
      `pg_xact/${(index + 1).toString(16).toUpperCase().padStart(4, '0')}`,
      32 * PAGE,
    ]);
    const { streamed, held } = plan(...segments);
    expect(streamed.has('pg_xact/0028')).toBe(true);
    expect(held.has('pg_xact/0028')).toBe(false);
    expect(plan().held.has('pg_xact/0000')).toBe(true);
  });
});

function never(): never {
  throw new Error('expected a value');
}

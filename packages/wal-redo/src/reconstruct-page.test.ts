import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { Bytes, u16, u32 } from './bytes.ts';
import { itemStart } from './page/line-pointer.ts';
import { type PageRequest, reconstructPage, reconstructPages } from './reconstruct-page.ts';
import { createRedoEngine } from './redo-engine.ts';
import { isRedoError, type RedoErrorCode } from './redo-error.ts';
import {
  SAMPLE_BLOCK,
  SAMPLE_TAG,
  sampleInsert,
  sampleLock,
  sampleRecord,
} from './testing/sample-records.ts';

const engine = createRedoEngine({ major: 16, heapLayout: 'stock', hintBitsLogged: false });
const INSERT = { endLsn: lsn(0x1_0000_0100n), bytes: sampleInsert() };
const LOCK = { endLsn: lsn(0x1_0000_0200n), bytes: sampleLock() };

function request(change: Partial<PageRequest>): PageRequest {
  return { tag: SAMPLE_TAG, blockNumber: SAMPLE_BLOCK, records: [INSERT, LOCK], ...change };
}

function expectRedoError(action: () => unknown, code: RedoErrorCode): void {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  if (!isRedoError(thrown)) expect.fail(`expected a RedoError, got ${String(thrown)}`);
  expect(thrown.code).toBe(code);
}

describe('a reconstructed page', () => {
  it('starts from nothing where the first record makes it', () => {
    const page = new Bytes(reconstructPage(engine, request({})));
    const tuple = itemStart(page, 1);
    expect(u32(page, tuple)).toBe(700);
    expect(u32(page, tuple + 4)).toBe(701);
    expect([...page.array.subarray(tuple + 24, tuple + 29)]).toEqual([1, 2, 3, 4, 5]);
    expect(u16(page, tuple + 20) & 0x0090).toBe(0x0090);
    expect([u32(page, 0), u32(page, 4)]).toEqual([1, 0x200]);
  });

  it('starts from a base, which stays as it was, and skips records that the base has', () => {
    const base = reconstructPage(engine, request({ records: [INSERT] }));
    const before = base.slice();
    const page = reconstructPage(engine, request({ base, records: [LOCK] }));
    expect(base).toEqual(before);
    expect(page).toEqual(reconstructPage(engine, request({})));
    expect(reconstructPage(engine, request({ base: page, records: [LOCK] }))).toEqual(page);
  });

  it('is refused without a base for records that need one, and without anything', () => {
    expectRedoError(() => reconstructPage(engine, request({ records: [LOCK] })), 'REDO_NO_BASE');
    expectRedoError(() => reconstructPage(engine, request({ records: [] })), 'REDO_NO_BASE');
    expectRedoError(
      () => reconstructPage(engine, request({ base: new Uint8Array(100) })),
      'REDO_INVALID_PAGE',
    );
  });

  it('is refused for records of other pages, with a wrong CRC, or of no known operation', () => {
    expectRedoError(() => reconstructPage(engine, request({ blockNumber: 8 })), 'REDO_FOREIGN_RECORD');
    const damaged = { ...INSERT, bytes: INSERT.bytes.with(-4, 9) };
    expectRedoError(() => reconstructPage(engine, request({ records: [damaged] })), 'REDO_INVALID_RECORD');
    expect(reconstructPage(engine, request({ records: [damaged] }), { checkCrc: false })).toHaveLength(8192);
    for (const [resourceManager, info] of [
      [10, 0x30],
      [134, 0x00],
      [200, 0x00],
      [21, 0x00],
    ] as const) {
      const bytes = sampleRecord({ resourceManager, info, willInit: true, main: [1, 0, 0] });
      const records = [{ ...INSERT, bytes }];
      expectRedoError(() => reconstructPage(engine, request({ records })), 'REDO_UNSUPPORTED_RECORD');
    }
  });

  it('is refused where a record does not fit the page', () => {
    const base = reconstructPage(engine, request({ records: [INSERT] }));
    const bytes = sampleRecord({ info: 0x60, main: [0, 0, 0, 0, 2, 0, 0, 0] });
    const records = [{ ...LOCK, bytes }];
    expectRedoError(() => reconstructPage(engine, request({ base, records })), 'REDO_INVALID_PAGE');
  });
});

describe('many reconstructed pages', () => {
  it('lie one after the other, and one that fails does not stop the others', () => {
    const { pages, failures } = reconstructPages(engine, [
      request({ records: [INSERT] }),
      request({ records: [LOCK] }),
      request({}),
    ]);
    expect(pages.subarray(0, 8192)).toEqual(reconstructPage(engine, request({ records: [INSERT] })));
    expect(pages.subarray(16384)).toEqual(reconstructPage(engine, request({})));
    expect(failures.map(({ index, error }) => [index, error.code])).toEqual([[1, 'REDO_NO_BASE']]);
  });
});

describe('a redo engine', () => {
  it('is refused for majors without redo', () => {
    const options = { heapLayout: 'stock', hintBitsLogged: false } as const;
    for (const major of [13, 18])
      expectRedoError(() => createRedoEngine({ ...options, major }), 'REDO_OPTION');
  });
});

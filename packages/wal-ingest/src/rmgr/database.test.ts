import { encodeSizeValue, relBlockKey, relSizeKey } from '@neon-snapshot/neon-layer';
import { RESOURCE_MANAGER, ZERO_LSN } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { makeRecord, u32 } from '../testing/record-builder.ts';
import { makeTestTimeline, TABLE, type TestTimeline, VISIBILITY_MAP } from '../testing/test-timeline.ts';

function databaseRecord(info: number, ...main: readonly number[]): Uint8Array {
  return makeRecord({ resourceManager: RESOURCE_MANAGER.database, info, main: u32(...main) });
}

/** A database with a relation of so many pages, each filled with a number. */
async function withPages(major: number, pageCount: number): Promise<TestTimeline> {
  const relations = [
    [VISIBILITY_MAP, 0],
    [TABLE, pageCount],
  ] as const;
  const test = await makeTestTimeline({ major, relations });
  test.timeline.apply(
    Array.from({ length: pageCount }, (_, i) => {
      const image = new Uint8Array(8192).fill(i + 1);
      return { key: relBlockKey(TABLE, i), lsn: ZERO_LSN, value: { kind: 'image', image } } as const;
    }),
  );
  return test;
}

describe('DBASE records', () => {
  it.each([14, 15, 16, 17])('of %i copy a database file by file', async (major) => {
    const test = await withPages(major, 2);
    expect(await test.take(databaseRecord(0x00, 900, 1663, 5, 1663))).toEqual([
      ['the directory of databases', ['1663/5 map', '1663/900 map']],
      ['the relation directory of database 1663/900', ['16384 0', '16384 2']],
      ['the relation map of database 1663/900', Uint8Array.of(1, 2, 3)],
      ['the size of relation 1663/900/16384 fork 0', 2],
      ['block 0 of relation 1663/900/16384 fork 0', new Uint8Array(8192).fill(1)],
      ['block 1 of relation 1663/900/16384 fork 0', new Uint8Array(8192).fill(2)],
      ['the size of relation 1663/900/16384 fork 2', 0],
    ]);
  });

  it('hand large copies on in pieces, each write once', async () => {
    const pageCount = 9000;
    const test = await makeTestTimeline({ relations: [[TABLE, 1]] });
    const page = new Uint8Array(8192);
    const value = { kind: 'image', image: page } as const;
    const size = { kind: 'image', image: encodeSizeValue(pageCount) } as const;
    test.timeline.apply([{ key: relSizeKey(TABLE), lsn: ZERO_LSN, value: size }]);
    for (let i = 0; i < pageCount; i += 1) {
      test.timeline.apply([{ key: relBlockKey(TABLE, i), lsn: ZERO_LSN, value }]);
    }
    const writes = await test.take(databaseRecord(0x00, 900, 1663, 5, 1663));
    expect(writes.length).toBe(pageCount + 4);
    expect(new Set(writes.map(([key]) => key)).size).toBe(pageCount + 4);
  });

  it('that copy by WAL do nothing themselves', async () => {
    const test = await makeTestTimeline({ major: 15 });
    expect(await test.take(databaseRecord(0x10, 900, 1663, 5, 1663))).toEqual([]);
  });

  it('refuse to copy a database onto itself, or one with missing pages', async () => {
    const own = (await makeTestTimeline()).take(databaseRecord(0x00, 5, 1663, 5, 1663));
    await expect(own).rejects.toMatchObject({ code: 'INGEST_INVALID_RECORD' });
    const holed = (await makeTestTimeline({ relations: [[TABLE, 1]] })).take(
      databaseRecord(0x00, 900, 1663, 5, 1663),
    );
    await expect(holed).rejects.toMatchObject({ code: 'INGEST_INVALID_STATE' });
  });

  it.each([
    [14, 0x10],
    [15, 0x20],
    [17, 0x20],
  ])('of %i drop a database', async (major, info) => {
    const test = await makeTestTimeline({ major, relations: [[TABLE, 1]] });
    expect(await test.take(databaseRecord(info, 5, 2, 1664, 1663))).toEqual([
      ['the directory of databases', []],
    ]);
    expect(await test.take(databaseRecord(info, 5, 1, 1663))).toEqual([]);
    // Nothing of it is left when its number comes again.
    const create = u32(1663, 5, 16_384, 0);
    expect(
      await test.take(makeRecord({ resourceManager: RESOURCE_MANAGER.storage, info: 0x10, main: create })),
    ).toEqual([
      ['the directory of databases', ['1663/5']],
      ['the relation directory of database 1663/5', ['16384 0']],
      ['the size of relation 1663/5/16384 fork 0', 0],
    ]);
  });
});

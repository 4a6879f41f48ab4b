import { auxFileKey, decodeAuxFiles, encodeAuxFiles } from '@neon-snapshot/neon-layer';
import { RESOURCE_MANAGER, ZERO_LSN } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { joined, makeRecord, text, u16, u32, u64, zeros } from '../testing/record-builder.ts';
import { makeTestTimeline, type TestTimeline } from '../testing/test-timeline.ts';

const REFUSAL = { code: 'INGEST_INVALID_RECORD' };

describe('RELMAP records', () => {
  const update = (dbNode: number, spcNode: number, size = 4): Uint8Array =>
    makeRecord({
      resourceManager: RESOURCE_MANAGER.relationMap,
      info: 0x00,
      main: joined(u32(dbNode, spcNode, size), text('abcd')),
    });

  it('store the map of a database that is there', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(update(5, 1663))).toEqual([['the relation map of database 1663/5', text('abcd')]]);
  });

  it('make a database that is not', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(update(0, 1664))).toEqual([
      ['the directory of databases', ['1663/5 map', '1664/0 map']],
      ['the relation directory of database 1664/0', []],
      ['the relation map of database 1664/0', text('abcd')],
    ]);
  });

  it('complete a database whose pages came first', async () => {
    const test = await makeTestTimeline();
    await test.take(
      makeRecord({ resourceManager: RESOURCE_MANAGER.storage, info: 0x10, main: u32(1663, 9, 1259, 0) }),
    );
    expect(await test.take(update(9, 1663))).toEqual([
      ['the directory of databases', ['1663/5 map', '1663/9 map']],
      ['the relation map of database 1663/9', text('abcd')],
    ]);
  });

  it('that are shorter than they say are refused', async () => {
    await expect((await makeTestTimeline()).take(update(5, 1663, 5))).rejects.toMatchObject(REFUSAL);
  });
});

describe('STANDBY records', () => {
  it('tell the oldest running transaction, written also where it is not new', async () => {
    const main = u32(0, 0, 0, 1500, 1400, 1499);
    const record = makeRecord({ resourceManager: RESOURCE_MANAGER.standby, info: 0x10, main });
    const test = await makeTestTimeline();
    expect(await test.takeCheckpoint(record)).toEqual({ oldestActiveXid: 1400 });
    expect(await test.takeCheckpoint(record)).toEqual({});
  });

  it('of locks and invalidations change nothing', async () => {
    const test = await makeTestTimeline();
    for (const info of [0x00, 0x20]) {
      const record = makeRecord({ resourceManager: RESOURCE_MANAGER.standby, info, main: zeros(4) });
      expect(await test.takeCheckpoint(record)).toBe(undefined);
    }
  });
});

describe('replication origin records', () => {
  const { replicationOrigin: resourceManager } = RESOURCE_MANAGER;

  it('set and drop an origin', async () => {
    const key = expect.stringMatching(/key 63.*0102$/);
    const test = await makeTestTimeline();
    const set = joined(u64(0x1122n), u16(0x0102), zeros(6));
    expect(await test.take(makeRecord({ resourceManager, info: 0x00, main: set }))).toEqual([
      [key, Uint8Array.of(0, 0, 0, 0, 0, 0, 0x11, 0x22)],
    ]);
    expect(await test.take(makeRecord({ resourceManager, info: 0x10, main: u16(0x0102) }))).toEqual([
      [key, '8 zeros'],
    ]);
  });
});

describe('logical message records', () => {
  const message = (prefix: string, content: string, prefixSize = prefix.length + 1): Uint8Array =>
    makeRecord({
      resourceManager: RESOURCE_MANAGER.logicalMessage,
      info: 0x00,
      main: joined(
        zeros(8),
        u64(BigInt(prefixSize)),
        u64(BigInt(content.length)),
        text(`${prefix}\0${content}`),
      ),
    });
  const filesAt = async (test: TestTimeline, path: string): Promise<unknown> =>
    decodeAuxFiles((await test.timeline.get(auxFileKey(path))) ?? zeros(0));

  it('put, replace and remove aux files', async () => {
    const path = 'pg_replslot/slot/state';
    const test = await makeTestTimeline();
    await test.take(message(`neon-file:${path}`, 'one'));
    await test.take(message(`neon-file:${path}`, 'two'));
    expect(await filesAt(test, path)).toEqual([{ path, content: text('two') }]);
    expect(await test.take(message(`neon-file:${path}`, ''))).toEqual([
      [expect.stringContaining('aux file key 62'), zeros(0)],
    ]);
    expect(await filesAt(test, path)).toEqual([]);
  });

  it('keep other files that share the key', async () => {
    const path = 'pg_stat/a';
    const test = await makeTestTimeline();
    const other = { path: 'pg_stat/other', content: text('x') };
    const value = { kind: 'image', image: encodeAuxFiles([other]) } as const;
    test.timeline.apply([{ key: auxFileKey(path), lsn: ZERO_LSN, value }]);
    await test.take(message(`neon-file:${path}`, 'mine'));
    expect(await filesAt(test, path)).toEqual([other, { path, content: text('mine') }]);
    await test.take(message(`neon-file:${path}`, ''));
    expect(await filesAt(test, path)).toEqual([other]);
  });

  it('with other prefixes are not for us', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(message('app', 'hello'))).toEqual([]);
  });

  it('whose sizes are wrong are refused', async () => {
    const wrong = (await makeTestTimeline()).take(message('neon-file:x', '', 5));
    await expect(wrong).rejects.toMatchObject(REFUSAL);
    const large = (await makeTestTimeline()).take(message('neon-file:x', '', 2 ** 40));
    await expect(large).rejects.toMatchObject(REFUSAL);
  });
});

describe('records of managers that only change pages', () => {
  it.each([5, 11, 18, 20, 22, 200])('%i: change nothing without blocks', async (resourceManager) => {
    const test = await makeTestTimeline();
    expect(await test.take(makeRecord({ resourceManager, info: 0x10, main: zeros(3) }))).toEqual([]);
  });
});

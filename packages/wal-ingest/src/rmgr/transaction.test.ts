import { RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { joined, makeRecord, text, u32, u64, zeros } from '../testing/record-builder.ts';
import { makeTestTimeline, TABLE, VISIBILITY_MAP } from '../testing/test-timeline.ts';

const { transaction: resourceManager } = RESOURCE_MANAGER;
const TIME = 812_345_678_901_234n;
const CLOG_PAGE = 'page 0 of clog segment 0';
const TWO_PHASE = 'the two phase directory';

/** All parts that a commit can have, in the order of `xinfo`. */
const PARTS: readonly (readonly [bit: number, bytes: Uint8Array])[] = [
  [0x01, u32(5, 1663)],
  [0x02, u32(3, 901, 902, 32_768)],
  [0x04, u32(2, 1663, 5, 16_384, 1663, 77, 16_384)],
  [0x100, joined(u32(1), zeros(12))],
  [0x08, joined(u32(2), zeros(32))],
  [0x10, u32(555)],
  [0x80, text('a gid\0')],
  [0x20, joined(u64(0x1_0000_0002n), u64(9n))],
];

function transactionEnd(
  info: number,
  bits: number,
  options: { origin?: number; xid?: number } = {},
): Uint8Array {
  const parts = PARTS.filter(([bit]) => (bits & bit) !== 0).map(([, bytes]) => bytes);
  const main = joined(u64(TIME), ...(bits === 0 ? [] : [u32(bits), ...parts]));
  const { origin, xid = 900 } = options;
  const record = { resourceManager, info: info | (bits === 0 ? 0 : 0x80), xid, main };
  return makeRecord(origin === undefined ? record : { ...record, origin });
}

describe('transaction records', () => {
  it('commit sets the status of the transaction', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(transactionEnd(0x00, 0))).toEqual([
      [CLOG_PAGE, { kind: 'clog-set-committed', xids: [900], timestamp: TIME }],
    ]);
  });

  it('abort sets it too', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(transactionEnd(0x20, 0))).toEqual([
      [CLOG_PAGE, { kind: 'clog-set-aborted', xids: [900] }],
    ]);
  });

  it('commit takes subtransactions along, one change for each page', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(transactionEnd(0x00, 0x03))).toEqual([
      [CLOG_PAGE, { kind: 'clog-set-committed', xids: [900, 901, 902], timestamp: TIME }],
      ['page 1 of clog segment 0', { kind: 'clog-set-committed', xids: [32_768], timestamp: TIME }],
    ]);
  });

  it('commit drops all forks of relations that are there', async () => {
    const other = { ...TABLE, relNode: 20_000 };
    const relations = [[TABLE, 5] as const, [VISIBILITY_MAP, 1] as const, [other, 1] as const];
    const test = await makeTestTimeline({ relations });
    const directory = ['the relation directory of database 1663/5', ['20000 0']];
    expect((await test.take(transactionEnd(0x00, 0x04))).slice(1)).toEqual([directory]);
    expect((await test.take(transactionEnd(0x00, 0x04))).slice(1)).toEqual([]);
  });

  it.each([
    ['commit', 0x00],
    ['abort', 0x20],
  ])('%s tells how far replication has come', async (_, info) => {
    const test = await makeTestTimeline();
    const writes = await test.take(transactionEnd(info, 0x20, { origin: 7 }));
    expect(writes.slice(1)).toEqual([
      [expect.stringMatching(/replication origin key 63.*07$/), Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2)],
    ]);
  });

  it('prepare keeps the state of the transaction: its main data', async () => {
    const main = Uint8Array.of(5, 6, 7);
    const test = await makeTestTimeline({ prepared: [700n] });
    expect(await test.take(makeRecord({ resourceManager, info: 0x10, xid: 900, main }))).toEqual([
      [TWO_PHASE, [700n, 900n]],
      [expect.stringContaining('two phase file key 02'), main],
    ]);
    // A cluster that was copied while it ran may have the state already.
    expect(await test.take(makeRecord({ resourceManager, info: 0x10, xid: 900, main }))).toEqual([]);
    const other = makeRecord({ resourceManager, info: 0x10, xid: 900, main: Uint8Array.of(5, 6, 8) });
    await expect(test.take(other)).rejects.toMatchObject({ code: 'INGEST_INVALID_RECORD' });
  });

  it.each([
    ['commit', 0x30, { kind: 'clog-set-committed', timestamp: TIME }],
    ['abort', 0x40, { kind: 'clog-set-aborted' }],
  ])(
    '%s prepared ends the prepared transaction, whatever other parts the record has',
    async (_, info, status) => {
      const test = await makeTestTimeline({ prepared: [555n, 700n] });
      expect(await test.take(transactionEnd(info, 0x1bf, { xid: 0, origin: 7 }))).toEqual([
        [CLOG_PAGE, { ...status, xids: [555, 901, 902] }],
        ['page 1 of clog segment 0', { ...status, xids: [32_768] }],
        [expect.stringContaining('replication origin'), Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2)],
        [TWO_PHASE, [700n]],
      ]);
    },
  );

  it('commit prepared without the id of the transaction is refused', async () => {
    const taken = (await makeTestTimeline()).take(transactionEnd(0x30, 0x01, { xid: 0 }));
    await expect(taken).rejects.toMatchObject({ code: 'INGEST_INVALID_RECORD' });
  });

  it('prepared transactions of 17 go by full ids, also from the epoch before', async () => {
    const main = zeros(1);
    const checkPoint = { nextXid: (3n << 32n) | 4096n };
    const prepare = (xid: number): Uint8Array => makeRecord({ resourceManager, info: 0x10, xid, main });
    const test = await makeTestTimeline({ major: 17, checkPoint });
    await test.take(prepare(4000));
    const [directory] = await test.take(prepare(0xffff_ff00));
    expect(directory).toEqual([TWO_PHASE, [(3n << 32n) | 4000n, (2n << 32n) | 0xffff_ff00n]]);
    const first = (await makeTestTimeline({ major: 17 })).take(prepare(0xffff_ff00));
    await expect(first).rejects.toMatchObject({ code: 'INGEST_INVALID_RECORD' });
  });

  it('assignments and invalidations change nothing', async () => {
    const test = await makeTestTimeline();
    for (const info of [0x50, 0x60]) {
      expect(await test.take(makeRecord({ resourceManager, info, main: zeros(3) }))).toEqual([]);
    }
  });
});

import { CHECKPOINT_KEY, isNeonLayerError } from '@neon-snapshot/neon-layer';
import { lsn, RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIngestError } from './ingest-error.ts';
import { MemoryTimeline } from './memory-timeline.ts';
import { joined, makeRecord, text, u8, u16, u32, u64, zeros } from './testing/record-builder.ts';
import { FIRST_END, makeTestTimeline, TABLE, VISIBILITY_MAP } from './testing/test-timeline.ts';
import { WalIngest, type WalIngestOptions } from './wal-ingest.ts';

const NOTHING = makeRecord({ resourceManager: RESOURCE_MANAGER.tablespace, info: 0 });
const XID_2500 = makeRecord({ resourceManager: RESOURCE_MANAGER.tablespace, info: 0, xid: 2500 });

describe('WalIngest', () => {
  it.each([13, 18, 16.5])('does not open for major %d', async (major) => {
    const timeline = new MemoryTimeline();
    const options: WalIngestOptions = { major, heapLayout: 'stock', state: timeline, sink: timeline.apply };
    await expect(WalIngest.open(options)).rejects.toMatchObject({ code: 'INGEST_INVALID_ARGUMENT' });
  });

  it('does not open without a checkpoint, or with a damaged one', async () => {
    const timeline = new MemoryTimeline();
    const options: WalIngestOptions = {
      major: 16,
      heapLayout: 'stock',
      state: timeline,
      sink: timeline.apply,
    };
    await expect(WalIngest.open(options)).rejects.toMatchObject({ code: 'INGEST_INVALID_STATE' });
    const value = { kind: 'image', image: zeros(87) } as const;
    timeline.apply([{ key: CHECKPOINT_KEY, lsn: lsn(0n), value }]);
    await expect(WalIngest.open(options)).rejects.toMatchObject({ code: 'INGEST_INVALID_STATE' });
  });

  it('gives no promise where nothing has to be read', async () => {
    const { ingest } = await makeTestTimeline();
    expect(ingest.ingest({ bytes: XID_2500, end: FIRST_END })).toBe(undefined);
    expect(ingest.lastRecordLsn).toBe(FIRST_END);
  });

  it('refuses a record that ends no later than the last, or at no place for an end', async () => {
    const { ingest } = await makeTestTimeline();
    const refusal = expect.objectContaining({ code: 'INGEST_OUT_OF_ORDER' });
    ingest.ingest({ bytes: NOTHING, end: FIRST_END });
    expect(() => ingest.ingest({ bytes: NOTHING, end: FIRST_END })).toThrow(refusal);
    expect(() => ingest.ingest({ bytes: NOTHING, end: lsn(FIRST_END + 9n) })).toThrow(refusal);
    expect(ingest.ingest({ bytes: NOTHING, end: lsn(FIRST_END + 8n) })).toBe(undefined);
  });

  it('refuses a record while the one before is not taken, and after one that failed', async () => {
    const { timeline } = await makeTestTimeline();
    const { promise, resolve } = Promise.withResolvers<void>();
    const ingest = await WalIngest.open({
      major: 16,
      heapLayout: 'stock',
      state: timeline,
      sink: () => promise,
    });
    const refusal = expect.objectContaining({ code: 'INGEST_OUT_OF_ORDER' });
    const pending = ingest.ingest({ bytes: XID_2500, end: FIRST_END });
    const next = lsn(FIRST_END + 8n);
    expect(() => ingest.ingest({ bytes: NOTHING, end: next })).toThrow(refusal);
    resolve();
    await pending;
    expect(() => ingest.ingest({ bytes: zeros(10), end: next })).toThrow(
      expect.objectContaining({ code: 'INGEST_INVALID_RECORD' }),
    );
    expect(() => ingest.ingest({ bytes: NOTHING, end: lsn(next + 8n) })).toThrow(refusal);
  });

  it.each([14, 15])(
    'stores heap records of stock %i in the layout of Neon, and reads their flags in stock’s',
    async (major) => {
      const relations = [[TABLE, 1] as const, [VISIBILITY_MAP, 1] as const];
      const test = await makeTestTimeline({ major, relations });
      const main = joined(u32(900), u16(5), u8(0), u8(1));
      const blocks = [{ tag: TABLE, blockNumber: 0 }];
      const record = makeRecord({ resourceManager: RESOURCE_MANAGER.heap, info: 0x10, main, blocks });
      expect(await test.take(record)).toEqual([
        [
          'block 0 of relation 1663/5/16384 fork 2',
          { kind: 'clear-visibility-map-flags', newHeapBlock: 0, oldHeapBlock: undefined, flags: 3 },
        ],
        ['block 0 of relation 1663/5/16384 fork 0', { willInit: false, size: record.length + 6 }],
      ]);
    },
  );

  it.each([
    [15, 'neon'],
    [16, 'stock'],
    [17, 'neon'],
  ] as const)('stores heap records of %i (%s) as they are', async (major, heapLayout) => {
    const test = await makeTestTimeline({ major, heapLayout, relations: [[TABLE, 1]] });
    const blocks = [{ tag: TABLE, blockNumber: 0 }];
    const record = makeRecord({
      resourceManager: RESOURCE_MANAGER.heap,
      info: 0x10,
      main: zeros(14),
      blocks,
    });
    await test.take(record);
    const value = test.timeline.writes.at(-1)?.value;
    expect(value).toEqual({ kind: 'record', record: { kind: 'postgres', willInit: false, record } });
  });
});

/** A record of each kind, with all its parts. */
const SAMPLES: readonly (readonly [name: string, record: Uint8Array])[] = [
  ['heap insert', heapRecord(0x00, joined(u16(1), u8(1)))],
  ['heap delete', heapRecord(0x10, joined(u32(900), u16(5), u8(0), u8(3), zeros(5)))],
  ['heap update', heapRecord(0x20, joined(u32(900), u16(5), u8(0), u8(0x23), u32(901), u16(6)))],
  [
    'commit',
    plainRecord(
      'transaction',
      0x80,
      joined(
        u64(1n),
        u32(0x1bf),
        u32(5, 1663, 1, 900, 1, 1663, 5, 16_384, 0, 0, 800),
        text('gid\0'),
        u64(1n),
        u64(2n),
      ),
    ),
  ],
  ['prepare', plainRecord('transaction', 0x10, text('state'))],
  ['create', plainRecord('storage', 0x10, u32(1663, 5, 16_385, 0))],
  ['truncate', plainRecord('storage', 0x20, u32(5, 1663, 5, 16_384, 7))],
  ['copied database', plainRecord('database', 0x00, u32(900, 1663, 6, 1663))],
  ['dropped database', plainRecord('database', 0x20, u32(900, 1, 1663))],
  ['clog page', plainRecord('clog', 0x00, u64(1n))],
  ['clog truncate', plainRecord('clog', 0x10, joined(u64(1n), u32(800, 5)))],
  ['multixact', plainRecord('multiXact', 0x20, u32(1, 1, 2, 10, 1, 11, 2))],
  ['multixact truncate', plainRecord('multiXact', 0x30, u32(5, 1, 2, 3, 60_000))],
  ['relation map', plainRecord('relationMap', 0x00, joined(u32(5, 1663, 4), text('abcd')))],
  ['running transactions', plainRecord('standby', 0x10, u32(0, 0, 0, 10, 9, 8))],
  ['checkpoint', plainRecord('xlog', 0x00, zeros(88))],
  ['origin', plainRecord('replicationOrigin', 0x00, joined(u64(1n), u16(2), zeros(6)))],
  [
    'aux file',
    plainRecord('logicalMessage', 0x00, joined(zeros(8), u64(12n), u64(1n), text('neon-file:x\0y'))),
  ],
];

function plainRecord(manager: keyof typeof RESOURCE_MANAGER, info: number, main: Uint8Array): Uint8Array {
  return makeRecord({ resourceManager: RESOURCE_MANAGER[manager], info, xid: 900, origin: 1, main });
}

function heapRecord(info: number, main: Uint8Array): Uint8Array {
  const image = { bytes: zeros(200), holeOffset: 30, holeLength: 1000, info: 0x07 };
  const blocks = [
    { tag: TABLE, blockNumber: 0, data: joined(u16(1), zeros(20)) },
    { tag: TABLE, blockNumber: 1, image },
  ];
  return makeRecord({ resourceManager: RESOURCE_MANAGER.heap, info, xid: 900, blocks, main });
}

/** Ingests bytes that may be damaged in any way; anything but success and a typed error fails the test. */
async function survives(major: number, bytes: Uint8Array): Promise<void> {
  const relations = [[TABLE, 2] as const, [VISIBILITY_MAP, 1] as const];
  const segments = { clog: [0], multixact_offsets: [0], multixact_members: [0, 1] };
  const { ingest } = await makeTestTimeline({ major, relations, segments, prepared: [800n] });
  try {
    await ingest.ingest({ bytes, end: FIRST_END });
  } catch (error) {
    if (!isIngestError(error) && !isNeonLayerError(error)) throw error;
  }
}

describe.each([14, 15, 16, 17])('damaged records of %i', (major) => {
  it.each(SAMPLES)(
    '%s: cut anywhere it is refused, shortened to fit it is an error or another record',
    async (_, record) => {
      for (let length = 0; length < record.length; length += 1) {
        const { ingest } = await makeTestTimeline({ major });
        expect(() => ingest.ingest({ bytes: record.subarray(0, length), end: FIRST_END })).toThrow(
          expect.objectContaining({ code: 'INGEST_INVALID_RECORD' }),
        );
        const shortened = record.slice(0, length);
        if (length >= 4) new DataView(shortened.buffer).setUint32(0, length, true);
        await survives(major, shortened);
      }
    },
  );

  it('with flipped bytes are an error or another record', async () => {
    const damaged = fc.tuple(
      fc.constantFrom(...SAMPLES.map(([, record]) => record)),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
    );
    const property = fc.asyncProperty(damaged, async ([record, flips]) => {
      const bytes = record.slice();
      for (const [place, mask] of flips) {
        const at = 4 + (place % (bytes.length - 4));
        bytes[at] = (bytes[at] ?? 0) ^ mask;
      }
      await survives(major, bytes);
    });
    await fc.assert(property, { numRuns: 300 });
  }, 30_000);
});

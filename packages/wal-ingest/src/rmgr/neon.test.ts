import { describe, expect, it } from 'vitest';
import { makeRecord, zeros } from '../testing/record-builder.ts';
import { makeTestTimeline, TABLE, VISIBILITY_MAP } from '../testing/test-timeline.ts';
import { NEON_RESOURCE_MANAGER } from './neon.ts';

function record(info: number, offset: number): Uint8Array {
  const main = zeros(20).fill(1, offset, offset + 1);
  const blocks = [
    { tag: TABLE, blockNumber: 3 },
    { tag: TABLE, blockNumber: 4 },
  ];
  return makeRecord({ resourceManager: NEON_RESOURCE_MANAGER, info, blocks, main });
}

describe("records of Neon's resource manager", () => {
  it.each([
    ['insert', 0x00, 2, { newHeapBlock: 3, oldHeapBlock: undefined, flags: 3 }],
    ['insert into a new page', 0x80, 2, { newHeapBlock: 3, oldHeapBlock: undefined, flags: 3 }],
    ['delete', 0x10, 7, { newHeapBlock: 3, oldHeapBlock: undefined, flags: 3 }],
    ['update', 0x20, 7, { newHeapBlock: undefined, oldHeapBlock: 4, flags: 3 }],
    ['HOT update', 0x30, 7, { newHeapBlock: undefined, oldHeapBlock: 4, flags: 3 }],
    ['lock', 0x40, 11, { newHeapBlock: undefined, oldHeapBlock: 4, flags: 2 }],
    ['multi-insert', 0x50, 0, { newHeapBlock: 3, oldHeapBlock: undefined, flags: 3 }],
  ])('%s clears the map as the heap record of that name', async (_, info, offset, fields) => {
    for (const major of [16, 17]) {
      const relations = [[TABLE, 10] as const, [VISIBILITY_MAP, 1] as const];
      const test = await makeTestTimeline({ major, heapLayout: 'neon', relations });
      const writes = await test.take(record(info, offset));
      expect(writes).toContainEqual([
        'block 0 of relation 1663/5/16384 fork 2',
        { kind: 'clear-visibility-map-flags', ...fields },
      ]);
      expect(writes.length).toBe(3);
    }
  });

  it('are refused in WAL of stock Postgres and of 14 and 15, where the id is somebody else’s', async () => {
    const unsupported = { code: 'INGEST_UNSUPPORTED' };
    await expect((await makeTestTimeline()).take(record(0, 2))).rejects.toMatchObject(unsupported);
    const old = await makeTestTimeline({ major: 15, heapLayout: 'neon' });
    await expect(old.take(record(0, 2))).rejects.toMatchObject(unsupported);
  });

  it('of an unknown operation are refused', async () => {
    const test = await makeTestTimeline({ heapLayout: 'neon' });
    await expect(test.take(record(0x60, 2))).rejects.toMatchObject({ code: 'INGEST_INVALID_RECORD' });
  });
});

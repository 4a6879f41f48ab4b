import { RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { joined, makeRecord, u32, u64 } from '../testing/record-builder.ts';
import { makeTestTimeline } from '../testing/test-timeline.ts';

const DIRECTORY = 'the directory of clog';

function page(major: number, pageNumber: number): Uint8Array {
  return major < 17 ? u32(pageNumber) : u64(BigInt(pageNumber));
}

function zeroPage(major: number, pageNumber: number): Uint8Array {
  return makeRecord({ resourceManager: RESOURCE_MANAGER.clog, info: 0x00, main: page(major, pageNumber) });
}

function truncate(major: number, pageNumber: number, oldestXid: number): Uint8Array {
  const main = joined(page(major, pageNumber), u32(oldestXid, 5));
  return makeRecord({ resourceManager: RESOURCE_MANAGER.clog, info: 0x10, main });
}

describe.each([14, 16, 17])('CLOG records of %i', (major) => {
  it('make a page, its segment, and the pages between', async () => {
    const test = await makeTestTimeline({ major, segments: { clog: [0] } });
    expect(await test.take(zeroPage(major, 34))).toEqual([
      [DIRECTORY, [0, 1]],
      ['the size of clog segment 1', 3],
      ['page 0 of clog segment 1', '8192 zeros'],
      ['page 1 of clog segment 1', '8192 zeros'],
      ['page 2 of clog segment 1', '8192 zeros'],
    ]);
    expect(await test.take(zeroPage(major, 35))).toEqual([
      ['the size of clog segment 1', 4],
      ['page 3 of clog segment 1', '8192 zeros'],
    ]);
    expect(await test.take(zeroPage(major, 35))).toEqual([['page 3 of clog segment 1', '8192 zeros']]);
  });

  it('drop the segments that lie wholly before the cutoff', async () => {
    const checkPoint = { nextXid: 200n * 32_768n };
    const test = await makeTestTimeline({ major, checkPoint, segments: { clog: [0, 1, 2, 3, 6] } });
    expect(await test.take(truncate(major, 70, 70 * 32_768))).toEqual([[DIRECTORY, [2, 3, 6]]]);
    expect(await test.take(truncate(major, 70, 70 * 32_768))).toEqual([]);
    expect(await test.takeCheckpoint(truncate(major, 95, 95 * 32_768))).toEqual({ oldestXid: 95 * 32_768 });
    expect(await test.take(truncate(major, 96, 96 * 32_768))).toEqual([[DIRECTORY, [3, 6]]]);
  });

  it('keep everything where the newest page would go, but take over the oldest xid', async () => {
    const test = await makeTestTimeline({ major, segments: { clog: [0, 1] } });
    expect(await test.take(truncate(major, 64, 64 * 32_768))).toEqual([]);
    expect(test.ingest.checkPoint).toMatchObject({ oldestXid: 64 * 32_768, oldestXidDb: 5 });
  });

  it('drop segments of the epoch before across the wrap of transaction ids', async () => {
    const checkPoint = { nextXid: (1n << 32n) + 40n * 32_768n };
    const last = 131_072 / 32 - 1;
    const segments = { clog: [last - 1, last, 0, 1] };
    const test = await makeTestTimeline({ major, checkPoint, segments });
    expect(await test.take(truncate(major, 2, 2 * 32_768))).toEqual([[DIRECTORY, [0, 1]]]);
  });

  it('of pages that there cannot be are refused', async () => {
    const taken = (await makeTestTimeline({ major })).take(zeroPage(major, 131_072));
    await expect(taken).rejects.toMatchObject({ code: 'INGEST_INVALID_RECORD' });
  });
});

import { RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { makeRecord, u32, u64 } from '../testing/record-builder.ts';
import { makeTestTimeline } from '../testing/test-timeline.ts';

const { multiXact: resourceManager } = RESOURCE_MANAGER;
const DIRECTORY = 'the directory of multixact_members';
/** Members of a segment: 1636 on each of 32 pages. */
const PER_SEGMENT = 1636 * 32;

function create(mid: number, moff: number, xids: readonly number[]): Uint8Array {
  const main = u32(mid, moff, xids.length, ...xids.flatMap((xid) => [xid, 1]));
  return makeRecord({ resourceManager, info: 0x20, main });
}

function truncate(startMember: number, endMember: number): Uint8Array {
  return makeRecord({ resourceManager, info: 0x30, main: u32(5, 1, 700, startMember, endMember) });
}

function members(moff: number, xids: readonly number[]): unknown {
  return { kind: 'multixact-members-create', moff, members: xids.map((xid) => ({ xid, status: 1 })) };
}

describe('MULTIXACT records', () => {
  it.each([14, 17])('of %i make pages', async (major) => {
    const main = (page: number): Uint8Array => (major < 17 ? u32(page) : u64(BigInt(page)));
    const test = await makeTestTimeline({ major, segments: { multixact_offsets: [0] } });
    expect(await test.take(makeRecord({ resourceManager, info: 0x00, main: main(32) }))).toEqual([
      ['the directory of multixact_offsets', [0, 1]],
      ['the size of multixact_offsets segment 1', 1],
      ['page 0 of multixact_offsets segment 1', '8192 zeros'],
    ]);
    expect(await test.take(makeRecord({ resourceManager, info: 0x10, main: main(0) }))).toEqual([
      [DIRECTORY, [0]],
      ['the size of multixact_members segment 0', 1],
      ['page 0 of multixact_members segment 0', '8192 zeros'],
    ]);
  });

  it('create writes the offset and the members page by page', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(create(2048 * 32 + 2049, PER_SEGMENT - 2, [10, 11, 12]))).toEqual([
      [
        'page 1 of multixact_offsets segment 1',
        { kind: 'multixact-offset-create', mid: 67_585, moff: PER_SEGMENT - 2 },
      ],
      ['page 31 of multixact_members segment 0', members(PER_SEGMENT - 2, [10, 11])],
      ['page 0 of multixact_members segment 1', members(PER_SEGMENT, [12])],
    ]);
  });

  it('create tracks the next id, the next member and the newest transaction', async () => {
    const test = await makeTestTimeline({ checkPoint: { nextXid: 0xffff_fc00n } });
    expect(await test.takeCheckpoint(create(8, 100, [0xffff_fffe, 5000]))).toEqual({
      nextMulti: 9,
      nextMultiOffset: 102,
      nextXid: (1n << 32n) + 5120n,
    });
    expect(await test.takeCheckpoint(create(7, 98, [4000]))).toBe(undefined);
  });

  it('create goes on at member 0 after the last one, and at id 0', async () => {
    const checkPoint = { nextMulti: 0xffff_fff0, nextMultiOffset: 0xffff_fff0 };
    const test = await makeTestTimeline({ checkPoint });
    expect(await test.take(create(0xffff_ffff, 0xffff_ffff, [10, 11]))).toEqual([
      [
        'page 31 of multixact_offsets segment ffff',
        { kind: 'multixact-offset-create', mid: 0xffff_ffff, moff: 0xffff_ffff },
      ],
      [
        `page ${Math.floor(0xffff_ffff / 1636) % 32} of multixact_members segment ${(82_040).toString(16)}`,
        members(0xffff_ffff, [10]),
      ],
      ['page 0 of multixact_members segment 0', members(0, [11])],
    ]);
    expect(test.ingest.checkPoint).toMatchObject({ nextMulti: 0, nextMultiOffset: 1 });
  });

  it('truncate drops segments of members up to that of the first that stays', async () => {
    const test = await makeTestTimeline({ segments: { multixact_members: [0, 1, 2, 3] } });
    expect(await test.take(truncate(PER_SEGMENT, 3 * PER_SEGMENT + 9))).toEqual([[DIRECTORY, [0, 3]]]);
    expect(test.ingest.checkPoint).toMatchObject({ oldestMulti: 700, oldestMultiDb: 5 });
  });

  it('truncate drops segments before and after the wrap', async () => {
    const segments = { multixact_members: [0, 1, 2, 82_038, 82_039, 82_040] };
    const test = await makeTestTimeline({ segments });
    expect(await test.take(truncate(82_039 * PER_SEGMENT, PER_SEGMENT))).toEqual([
      [DIRECTORY, [1, 2, 82_038]],
    ]);
  });

  it('truncate within a segment drops none, and one that is gone already is no error', async () => {
    const test = await makeTestTimeline({ segments: { multixact_members: [4] } });
    expect(await test.take(truncate(5, 50))).toEqual([]);
    expect(await test.take(truncate(5, PER_SEGMENT))).toEqual([[DIRECTORY, [4]]]);
    expect(await test.takeCheckpoint(truncate(5, 50))).toEqual({});
  });

  it('with more members than bytes are refused', async () => {
    const record = makeRecord({ resourceManager, info: 0x20, main: u32(1, 1, 0x1000_0000, 5, 1) });
    const taken = (await makeTestTimeline()).take(record);
    await expect(taken).rejects.toMatchObject({ code: 'INGEST_INVALID_RECORD' });
  });
});

import { encodeCheckPoint } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { CheckpointTracker } from './checkpoint-tracker.ts';
import { makeRecord } from './testing/record-builder.ts';
import { CHECK_POINT, makeTestTimeline } from './testing/test-timeline.ts';

function trackerAt(nextXid: bigint): CheckpointTracker {
  return new CheckpointTracker(encodeCheckPoint({ ...CHECK_POINT, nextXid }, 17), 17);
}

function nextXidAfter(nextXid: bigint, seen: number): bigint {
  const tracker = trackerAt(nextXid);
  tracker.seeXid(seen);
  return tracker.current.nextXid;
}

describe('CheckpointTracker', () => {
  it.each([
    ['a newer id, in steps of 1024', 2048n, 2048, 3072n],
    ['the last id of a step', 2048n, 3071, 3072n],
    ['an older id', 2048n, 2047, 2048n],
    ['a much older one: it lies half of all ids ahead', 2048n, 0x9000_0000, 2048n],
    ['the last id of all', 0xffff_f000n, 0xffff_fffe, 1n << 32n],
    ['an id right behind the wrap', 0xffff_fc00n, 3, (1n << 32n) + 1024n],
    ['an id of a later epoch', (7n << 32n) + 0xffff_fc00n, 5000, (8n << 32n) + 5120n],
    ['the largest number', 0xffff_fc00n, 0xffff_ffff, (1n << 32n) + 1024n],
  ])('follows %s', (_, nextXid, seen, expected) => {
    expect(nextXidAfter(nextXid, seen)).toBe(expected);
  });

  it('knows the epoch of an id', () => {
    const tracker = trackerAt((2n << 32n) + 4096n);
    expect(tracker.fullXid(4000)).toBe((2n << 32n) + 4000n);
    expect(tracker.fullXid(4097)).toBe((1n << 32n) + 4097n);
    expect(trackerAt(4096n).fullXid(4097)).toBe(undefined);
  });

  it('is written with the record whose transaction is new, and with no other', async () => {
    const test = await makeTestTimeline();
    const record = (xid: number): Uint8Array => makeRecord({ resourceManager: 20, info: 0, xid });
    expect(await test.takeCheckpoint(record(2000))).toBe(undefined);
    expect(await test.takeCheckpoint(record(2500))).toEqual({ nextXid: 3072n });
    expect(await test.takeCheckpoint(record(2600))).toBe(undefined);
  });
});

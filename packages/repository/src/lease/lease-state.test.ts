import { describe, expect, test } from 'vitest';
import { decodeLeaseRecord, encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';
import { type AcquireRequest, decideAcquire, isExpired, released, renewed } from './lease-state.ts';

const START = new Date('2026-11-24T10:00:00Z');
const HOLDER = { command: 'neon init', host: 'one', pid: 7, process: 'boot pid:[1] 7 start' };
const at = (seconds: number) => new Date(START.getTime() + seconds * 1000);

function request(seconds: number, changes: Partial<AcquireRequest> = {}): AcquireRequest {
  const base = {
    holderId: 'new',
    holder: HOLDER,
    generationMin: 1,
    indexGeneration: undefined,
    takeOver: false,
    holderIsGone: false,
  };
  return { ...base, now: at(seconds), ...changes };
}

function taken(seconds: number, found?: LeaseRecord, changes: Partial<AcquireRequest> = {}): LeaseRecord {
  const decision = decideAcquire(found, request(seconds, changes));
  if (decision.kind !== 'take') throw new Error(`expected to take it, found ${decision.kind}`);
  return decision.record;
}

describe('a lease', () => {
  test('is free where there is none, and holds 30 seconds', () => {
    expect(taken(0)).toMatchObject({ holderId: 'new', generation: 1, expiresAt: at(30), isReleased: false });
  });

  test('starts with the generation that is asked for, or the next one', () => {
    expect(taken(0, undefined, { generationMin: 10 }).generation).toBe(10);
    expect(taken(60, taken(0), { generationMin: 1 }).generation).toBe(2);
    expect(taken(60, taken(0), { generationMin: 10 }).generation).toBe(10);
  });

  test('refuses a newcomer while it lives, and five seconds longer for another clock', () => {
    const held = taken(0);
    for (const seconds of [0, 29, 30, 34.9])
      expect(decideAcquire(held, request(seconds))).toMatchObject({ kind: 'refuse', freeAt: at(35) });
    expect(taken(35, held).generation).toBe(2);
  });

  test('lasts from its last renewal', () => {
    const held = renewed(taken(0), at(10));
    expect(held.expiresAt).toEqual(at(40));
    expect(decideAcquire(held, request(44)).kind).toBe('refuse');
    expect([isExpired(held, at(39.9)), isExpired(held, at(40))]).toEqual([false, true]);
  });

  test('is free at once after a release, a take-over or the death of its holder, one generation higher', () => {
    const held = taken(0);
    expect(taken(1, released(held, at(1))).generation).toBe(2);
    expect(taken(1, held, { takeOver: true }).generation).toBe(2);
    expect(taken(1, held, { holderIsGone: true }).generation).toBe(2);
  });

  test('has no generation after the last', () => {
    const last = taken(0, undefined, { generationMin: 0xffff_ffff });
    expect(decideAcquire(last, request(60)).kind).toBe('exhausted');
  });
});

describe('lease.json', () => {
  test('is read as it was written', () => {
    const record = taken(0);
    expect(decodeLeaseRecord(encodeLeaseRecord(record), 'here')).toEqual(record);
  });

  test.each([
    ['', 'no JSON'],
    ['[]', 'no JSON object'],
    ['{"version":2}', 'version is 2'],
    ['{"version":1,"holder_id":3}', 'holder_id is no text'],
  ])('that is %j is refused', (text, why) => {
    expect(() => decodeLeaseRecord(Buffer.from(text), 'here')).toThrow(
      expect.objectContaining({ code: 'REPOSITORY_LEASE_INVALID', message: expect.stringContaining(why) }),
    );
  });

  test('cut at any byte is refused', () => {
    const bytes = encodeLeaseRecord(taken(0));
    // Without the final newline it is still whole.
    for (let length = 0; length < bytes.length - 1; length += 1)
      expect(() => decodeLeaseRecord(bytes.subarray(0, length), 'here')).toThrow('no JSON');
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  createEventualStorage,
  createFaultyStorage,
  type PlannedFault,
} from '@neon-snapshot/storage-conformance';
import { createMemoryStorage, readAll, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { processIdentity } from '../process-identity.ts';
import { createManualClock } from '../testing/manual-clock.ts';
import { type AcquireLeaseOptions, acquireLease } from './acquire-lease.ts';
import { decodeLeaseRecord, encodeLeaseRecord } from './lease-record.ts';
import { createUnguardedLease } from './unguarded-lease.ts';

const DIRECTORY = `neon-snapshot/${'a'.repeat(32)}`;
const KEY = `${DIRECTORY}/lease.json`;

function setUp(plan: readonly PlannedFault[] = []) {
  const inner = createMemoryStorage();
  const storage = createFaultyStorage(inner, { plan });
  const clock = createManualClock(new Date('2026-11-24T10:00:00Z'));
  const acquire = (
    options: Pick<AcquireLeaseOptions, 'takeOver' | 'waitMaxMs' | 'onExpiry' | 'indexGeneration'> = {},
  ) => acquireLease({ storage, directory: DIRECTORY, command: 'neon init', clock, ...options });
  return { inner, storage, clock, acquire };
}

async function record(storage: Storage) {
  const { body } = await storage.get(KEY);
  return decodeLeaseRecord(await readAll(body, { sizeMaxBytes: 10_000 }), KEY);
}

describe('a lease in a storage', () => {
  test('refuses a newcomer, naming holder and expiry, as long as it is renewed', async () => {
    const { acquire, clock } = setUp();
    await using lease = await acquire();
    expect(lease.generation).toBe(1);
    await clock.advance(100_000);
    await expect(acquire()).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_HELD',
      context: { holderCommand: 'neon init', holderPid: process.pid, expiresAt: '2026-11-24T10:02:10.000Z' },
      message: expect.stringMatching(/lease until 2026-11-24T10:02:10.*--take_over/),
    });
    await lease.assertHeld();
  });

  test('goes over after a release, one generation higher', async () => {
    const { acquire, inner } = setUp();
    const first = await acquire();
    await first.release();
    expect(await record(inner)).toMatchObject({ isReleased: true, generation: 1 });
    await using second = await acquire();
    expect(second.generation).toBe(2);
    await first.release({ forget: true });
    await second.assertHeld();
  });

  test('that is forgotten leaves no object', async () => {
    const { acquire, inner } = setUp();
    await (await acquire()).release({ forget: true });
    await expect(inner.head(KEY)).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
  });

  test('taken over is lost to its holder, who stops before publishing and leaves it alone', async () => {
    const { acquire, inner } = setUp();
    const first = await acquire();
    await using second = await acquire({ takeOver: true });
    expect(second.generation).toBe(2);
    await expect(first.assertHeld()).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_LOST' });
    expect(first.signal.reason).toMatchObject({ code: 'REPOSITORY_LEASE_LOST', context: { generation: 2 } });
    const before = await record(inner);
    await first.release();
    expect(await record(inner)).toEqual(before);
  });

  test('taken over is noticed by the next renewal', async () => {
    const { acquire, clock } = setUp();
    const first = await acquire();
    await using second = await acquire({ takeOver: true });
    expect(first.signal.aborted).toBe(false);
    await clock.advance(10_000);
    expect([first.signal.aborted, second.signal.aborted]).toEqual([true, false]);
  });

  test('whose object was deleted is lost', async () => {
    const { acquire, inner } = setUp();
    const lease = await acquire();
    await inner.delete([KEY]);
    await expect(lease.assertHeld()).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_LOST',
      message: expect.stringContaining('deleted'),
    });
  });

  test('is waited for as long as is asked, and taken when it expires', async () => {
    const { acquire, clock, inner } = setUp();
    const dead = await acquire();
    const held = await record(inner);
    await dead.release({ forget: true });
    await inner.put(KEY, encodeLeaseRecord({ ...held, holderId: 'elsewhere', generation: 4 }));
    const early = acquire({ waitMaxMs: 10_000 }).catch((error: unknown) => error);
    // Longer than the clock, which here runs ahead of everything else, can come to.
    const late = acquire({ waitMaxMs: Number.MAX_SAFE_INTEGER });
    let isOver = false;
    const both = Promise.all([early, late]).finally(() => {
      isOver = true;
    });
    while (!isOver) await clock.advance(1000);
    const [refusal, lease] = await both;
    expect(refusal).toMatchObject({ code: 'REPOSITORY_LEASE_HELD' });
    expect(lease.generation).toBe(5);
  });

  test('of a process of this machine that has died is free at once', async () => {
    const { acquire, inner } = setUp();
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const identity = await processIdentity(child.pid);
    const first = await acquire();
    const mine = await record(inner);
    await first.release({ forget: true });
    const theirs = { ...mine, holderId: 'child', holder: { ...mine.holder, process: identity } };
    await inner.put(KEY, encodeLeaseRecord(theirs));
    await expect(acquire()).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_HELD' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    if (identity === '') await expect(acquire()).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_HELD' });
    else expect((await acquire()).generation).toBe(2);
  });

  test('that is no lease is refused with what to do', async () => {
    const { acquire, inner } = setUp();
    await inner.put(KEY, new Uint8Array(3));
    await expect(acquire({ takeOver: true })).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_INVALID' });
  });

  test.each([
    createMemoryStorage({ capability: { conditionalPut: { ifNoneMatch: true, ifMatch: false } } }),
    createEventualStorage({ lagReads: 2 }),
  ])('is not to be had without conditional puts ($url)', async (storage) => {
    await expect(
      acquireLease({ storage, directory: DIRECTORY, command: 'neon start' }),
    ).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_UNSUPPORTED',
      message: expect.stringContaining('--unsafe_no_lease'),
    });
  });
});

describe('a bucket with an index', () => {
  test('that no lease holder wrote is refused, and taken over with a higher generation', async () => {
    const { acquire, inner } = setUp();
    await expect(acquire({ indexGeneration: 7 })).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_FOREIGN',
      context: { indexGeneration: 7 },
      message: expect.stringMatching(/index has generation 7, and there is no lease.*--take_over/),
    });
    await expect(inner.head(KEY)).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    await using lease = await acquire({ indexGeneration: 7, takeOver: true });
    expect(lease.generation).toBe(8);
  });

  test('that is newer than the last lease is refused', async () => {
    const { acquire } = setUp();
    await (await acquire()).release();
    await expect(acquire({ indexGeneration: 2 })).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_FOREIGN',
      message: expect.stringContaining('the last lease has generation 1'),
    });
    expect((await acquire({ indexGeneration: 2, takeOver: true })).generation).toBe(3);
  });

  test('of the last holder, or an earlier one, is its own', async () => {
    const { acquire } = setUp();
    await (await acquire()).release();
    const second = await acquire({ indexGeneration: 1 });
    await second.release();
    expect((await acquire({ indexGeneration: 1 })).generation).toBe(3);
  });

  test('says first that its holder lives', async () => {
    const { acquire } = setUp();
    await using _lease = await acquire();
    await expect(acquire({ indexGeneration: 9 })).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_HELD' });
  });
});

test('a lease without a guard has its generation and is never lost', async () => {
  await using lease = createUnguardedLease({ generation: 4 });
  await lease.assertHeld();
  await lease.verify();
  expect([lease.generation, lease.isExpired, lease.signal.aborted]).toEqual([4, false, false]);
});

describe('a storage that fails', () => {
  test('after it has done the put does not cost the lease', async () => {
    const lost = { kind: 'lost-answer' } as const;
    const { acquire, storage, clock } = setUp([1, 2, 3].map((nth) => ({ verb: 'put', nth, fault: lost })));
    await using lease = await acquire();
    await lease.assertHeld();
    await clock.advance(10_000);
    await lease.assertHeld();
    expect(storage.pendingFaults()).toEqual([]);
  });

  test('before it has done the put says so, and the lease stays', async () => {
    const { acquire } = setUp([{ verb: 'put', nth: 2, fault: { kind: 'error' } }]);
    await using lease = await acquire();
    await expect(lease.assertHeld()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await lease.assertHeld();
  });

  test('until the expiry costs the lease', async () => {
    const plan = Array.from({ length: 40 }, (_, index) => ({
      verb: 'put' as const,
      nth: index + 2,
      fault: { kind: 'error' } as const,
    }));
    const { acquire, clock } = setUp(plan);
    const lease = await acquire();
    await clock.advance(29_000);
    expect(lease.signal.aborted).toBe(false);
    await clock.advance(2_000);
    expect(lease.signal.reason).toMatchObject({
      code: 'REPOSITORY_LEASE_LOST',
      message: expect.stringContaining('expired'),
    });
  });

  test('for a while does not', async () => {
    const plan = Array.from({ length: 10 }, (_, index) => ({
      verb: 'put' as const,
      nth: index + 2,
      fault: { kind: 'error' } as const,
    }));
    const { acquire, clock, storage } = setUp(plan);
    await using lease = await acquire();
    await clock.advance(60_000);
    expect(storage.pendingFaults()).toEqual([]);
    expect(lease.signal.aborted).toBe(false);
  });
});

describe('a lease that outlives its expiry', () => {
  const outage = (from: number, to: number): PlannedFault[] =>
    Array.from({ length: to - from }, (_, index) => ({
      verb: 'put' as const,
      nth: from + index,
      fault: { kind: 'error' } as const,
    }));

  test('goes on once the storage answers again', async () => {
    const { acquire, clock, storage } = setUp(outage(2, 92));
    await using lease = await acquire({ onExpiry: 'wait' });
    await clock.advance(80_000);
    expect([lease.signal.aborted, lease.isExpired]).toEqual([false, true]);
    await clock.advance(30_000);
    expect([lease.signal.aborted, lease.isExpired]).toEqual([false, false]);
    expect(storage.pendingFaults()).toEqual([]);
    await lease.assertHeld();
    await lease.verify();
  });

  test('ends when somebody took it meanwhile, and says who', async () => {
    const { acquire, clock, inner } = setUp(outage(2, 62));
    const first = await acquire({ onExpiry: 'wait' });
    await clock.advance(50_000);
    const options = { storage: inner, directory: DIRECTORY, command: 'neon start', clock };
    await using second = await acquireLease(options);
    await clock.advance(20_000);
    expect(second.generation).toBe(2);
    expect(first.signal.reason).toMatchObject({
      code: 'REPOSITORY_LEASE_LOST',
      message: expect.stringContaining('neon start'),
    });
    await expect(first.assertHeld()).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_LOST' });
  });
});

describe('verifying a lease', () => {
  test('finds a take-over without waiting for a renewal', async () => {
    const { acquire } = setUp();
    const first = await acquire();
    await first.verify();
    await using second = await acquire({ takeOver: true });
    await expect(first.verify()).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_LOST' });
    expect(first.signal.aborted).toBe(true);
    await second.verify();
  });

  test('finds that the object was deleted', async () => {
    const { acquire, inner } = setUp();
    const lease = await acquire();
    await inner.delete([KEY]);
    await expect(lease.verify()).rejects.toMatchObject({ code: 'REPOSITORY_LEASE_LOST' });
  });

  test('passes on what the storage fails with and keeps the lease', async () => {
    const { acquire } = setUp([{ verb: 'get', nth: 2, fault: { kind: 'error' } }]);
    await using lease = await acquire();
    await expect(lease.verify()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await lease.verify();
  });
});

describe('1,000 races', () => {
  test('of five newcomers give one lease each', async () => {
    for (let race = 0; race < 1000; race += 1) {
      const storage = createMemoryStorage();
      const clock = createManualClock(new Date());
      const racers = Array.from({ length: 5 }, () =>
        acquireLease({
          storage,
          directory: DIRECTORY,
          command: 'neon init',
          clock,
          takeOver: race % 2 === 1,
        }),
      );
      const outcomes = await Promise.allSettled(racers);
      const held = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
      const valid = await Promise.allSettled(held.map((lease) => lease.assertHeld()));
      expect(
        valid.filter(({ status }) => status === 'fulfilled'),
        `race ${race}`,
      ).toHaveLength(1);
      expect(refused.every(({ code }) => code === 'REPOSITORY_LEASE_HELD')).toBe(true);
    }
  });
});

import {
  encodeIndexPart,
  type IndexPart,
  indexObjectKey,
  loadTimeline,
  type TimelineSource,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { interleave, randomOf } from '../testing/interleaving.ts';
import { adoptTail, loadTail } from './load-tail.ts';
import { loadSettledTimeline, type SettledTimeline } from './settled-timeline.ts';
import { deleteTailChunks, listTail, obsoleteTailChunks, putTailChunk } from './tail-objects.ts';

/*
 * Owners of a timeline that take it from each other, as page servers do: everything that was acknowledged by one is there for
 * all who look later. Their WAL is made up, each owner's other; an index remembers what its layers would be made of.
 */

const PLACE = { tenantId: 'a'.repeat(32), timelineId: 'b'.repeat(32) };
const TENANT = { tenantId: PLACE.tenantId, shard: UNSHARDED };
const LEASE_KEY = `neon-snapshot/${PLACE.tenantId}/lease.json`;
const BASE = 64;

/** How an owner may do it: as it is right, or not. */
interface Habits {
  readonly adopts: boolean;
  readonly putsOwnIndexFirst: boolean;
  readonly verifiesBeforeAcknowledging: boolean;
}

const RIGHT: Habits = { adopts: true, putsOwnIndexFirst: true, verifiesBeforeAcknowledging: true };

interface Acknowledged {
  readonly start: number;
  readonly bytes: Uint8Array;
}

class Fenced extends Error {}

class Lease {
  readonly #storage: Storage;
  readonly #etag: string | undefined;
  readonly generation: number;

  private constructor(
    storage: Storage,
    held: { readonly etag: string | undefined; readonly generation: number },
  ) {
    this.#storage = storage;
    this.#etag = held.etag;
    this.generation = held.generation;
  }

  /** Takes it from whoever has it. */
  static async take(storage: Storage): Promise<Lease> {
    const { info, body } = await storage.get(LEASE_KEY);
    const generation = Number(new TextDecoder().decode(await readAll(body, { sizeMaxBytes: 100 }))) + 1;
    try {
      const options = info.etag === undefined ? {} : { ifMatch: info.etag };
      const { etag } = await storage.put(LEASE_KEY, new TextEncoder().encode(`${generation}`), options);
      return new Lease(storage, { etag, generation });
    } catch (error) {
      if (isStorageError(error, 'STORAGE_PRECONDITION_FAILED')) throw new Fenced();
      throw error;
    }
  }

  async verify(): Promise<void> {
    const { etag } = await this.#storage.head(LEASE_KEY);
    if (etag !== this.#etag) throw new Fenced();
  }
}

async function putIndex(
  storage: Storage,
  of: { readonly generation: number; readonly history: Uint8Array; readonly prevRecordLsn: Lsn },
): Promise<void> {
  const diskConsistentLsn = lsn(BigInt(of.history.length));
  const key = indexObjectKey({ tenant: TENANT, timelineId: PLACE.timelineId, generation: of.generation });
  const index = encodeIndexPart({
    layers: new Map(),
    diskConsistentLsn,
    metadata: {
      diskConsistentLsn,
      prevRecordLsn: of.prevRecordLsn,
      ancestorLsn: lsn(0n),
      latestGcCutoffLsn: lsn(BigInt(BASE)),
      initdbLsn: lsn(BigInt(BASE)),
      postgresMajor: 17,
    },
    otherFields: { history: Buffer.from(of.history).toString('hex') },
  });
  await storage.put(key, index);
}

function historyOf(index: IndexPart): Uint8Array {
  return Buffer.from(String(index.otherFields.history), 'hex');
}

/** All WAL up to where a timeline ends. */
function wholeOf({ source, tail }: SettledTimeline): Uint8Array {
  const history = historyOf(source.index);
  if (tail === undefined) return history;
  return Buffer.concat([history, Buffer.concat(tail.pieces).subarray(history.length - Number(tail.start))]);
}

async function own(
  storage: Storage,
  acknowledged: Acknowledged[],
  habits: Habits,
  seed: number,
): Promise<void> {
  const random = randomOf(seed);
  try {
    const lease = await Lease.take(storage);
    const { generation } = lease;
    const source: TimelineSource = await loadTimeline(storage, {
      tenant: PLACE.tenantId,
      timelineId: PLACE.timelineId,
    });
    const tail = await loadTail(storage, { ...PLACE, source });
    if (tail !== undefined && habits.adopts) await adoptTail(storage, { ...PLACE, tail, generation });
    let whole = wholeOf({ source, tail });
    let prevRecordLsn = source.index.metadata.prevRecordLsn ?? lsn(0n);
    if (habits.putsOwnIndexFirst) {
      await putIndex(storage, { generation, history: historyOf(source.index), prevRecordLsn });
      await lease.verify();
    }
    for (let round = 0; round < 5; round++) {
      const bytes = new Uint8Array(8 * (1 + Math.floor(random() * 4))).fill(16 * generation + round);
      const start = whole.length;
      whole = Buffer.concat([whole, bytes]);
      prevRecordLsn = lsn(BigInt(start));
      // A push of layers may overtake that of the tail.
      const kind = random();
      if (kind < 0.7) await putTailChunk(storage, { ...PLACE, start: prevRecordLsn, bytes, generation });
      if (kind > 0.5) await putIndex(storage, { generation, history: whole, prevRecordLsn });
      if (habits.verifiesBeforeAcknowledging) await lease.verify();
      acknowledged.push({ start, bytes });
      if (kind > 0.5) {
        await lease.verify();
        const chunks = await listTail(storage, PLACE);
        await deleteTailChunks(storage, obsoleteTailChunks(chunks, { generation, keepFrom: prevRecordLsn }));
      }
    }
  } catch (error) {
    if (!(error instanceof Fenced)) throw error;
  }
}

/** What was acknowledged before a reading began and is not in what it read. */
async function look(
  storage: Storage,
  acknowledged: readonly Acknowledged[],
): Promise<readonly Acknowledged[]> {
  const before = [...acknowledged];
  const settled = await loadSettledTimeline(storage, {
    tenant: PLACE.tenantId,
    timelineId: PLACE.timelineId,
  });
  const whole = wholeOf(settled);
  return before.filter(
    ({ start, bytes }) => Buffer.compare(whole.subarray(start, start + bytes.length), bytes) !== 0,
  );
}

interface Outcome {
  readonly lost: number;
  readonly acknowledged: number;
}

async function race(seed: number, habits: Habits): Promise<Outcome> {
  const storage = createMemoryStorage();
  await storage.put(LEASE_KEY, new TextEncoder().encode('0'));
  await putIndex(storage, { generation: 0, history: new Uint8Array(BASE), prevRecordLsn: lsn(0n) });
  const acknowledged: Acknowledged[] = [];
  let lost = 0;
  const owner = (index: number) => (stepped: Storage) =>
    own(stepped, acknowledged, habits, seed * 10 + index);
  const reader = async (stepped: Storage) => {
    for (let round = 0; round < 3; round++) lost += (await look(stepped, acknowledged)).length;
  };
  await interleave({
    storage,
    seed,
    deathsPerMille: 15,
    actors: [owner(0), owner(1), owner(2), reader, reader],
  });
  lost += (await look(storage, acknowledged)).length;
  return { lost, acknowledged: acknowledged.length };
}

async function races(count: number, habits: Habits): Promise<Outcome> {
  let sum: Outcome = { lost: 0, acknowledged: 0 };
  for (let seed = 1; seed <= count; seed++) {
    const { lost, acknowledged } = await race(seed, habits);
    sum = { lost: sum.lost + lost, acknowledged: sum.acknowledged + acknowledged };
  }
  return sum;
}

describe('owners that take a timeline from each other at any moment, and die at any moment', () => {
  it('lose nothing that was acknowledged, and no reader ever misses it', { timeout: 120_000 }, async () => {
    const outcome = await races(2000, RIGHT);
    expect(outcome.lost).toBe(0);
    expect(outcome.acknowledged).toBeGreaterThan(8000);
  });

  it.each([
    ['do not put what they found under their own generation', { adopts: false }],
    ['do not put an index of their own before they take WAL', { putsOwnIndexFirst: false }],
    ['do not look at the lease before they acknowledge', { verifiesBeforeAcknowledging: false }],
  ])('would lose some if they %s', { timeout: 120_000 }, async (_, wrong) => {
    expect((await races(1000, { ...RIGHT, ...wrong })).lost).toBeGreaterThan(0);
  });
});

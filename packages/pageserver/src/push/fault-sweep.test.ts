import { setTimeout as delay } from 'node:timers/promises';
import { isNeonLayerError } from '@neon-snapshot/neon-layer';
import { isTimelineError } from '@neon-snapshot/neon-timeline';
import type { Lsn } from '@neon-snapshot/postgres';
import { isRepositoryError, type LeaseClock } from '@neon-snapshot/repository';
import { type SweptCase, sweepFaults } from '@neon-snapshot/storage-conformance';
import { createMemoryStorage, isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import type { PageServerEvent } from '../page-server/events.ts';
import type { Durability } from '../page-server/options.ts';
import { isPageServerError } from '../page-server-error.ts';
import { MADE_START, putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { MadeWal } from '../testing/made-wal.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { filesOf, missingLayers, newestFiles } from '../testing/pushed-state.ts';

const OWNER_COUNT = 2;
const STEPS_OF_OWNER = 4;
const RECORDS_PER_STEP = 7;
/** All of them take a minute. */
const CALLS_OF_VERB = process.env.CI === undefined ? 2 : 12;
/** Their codes tell a user what happened. */
const TYPES = [isStorageError, isRepositoryError, isNeonLayerError, isTimelineError, isPageServerError];

/** The waits of repeats are over at once; what comes every minute or so does not come. */
const HASTY_CLOCK: LeaseClock = {
  now: () => new Date(),
  sleep: (durationMs, signal) =>
    delay(durationMs <= 5_000 ? 1 : durationMs, undefined, signal === undefined ? {} : { signal }).catch(
      () => undefined,
    ),
};

/** What page servers have told the world during one case. */
interface Told {
  durableLsn: Lsn;
  readonly events: PageServerEvent[];
}

function makeWal(): MadeWal {
  const wal = new MadeWal(MADE_START);
  for (let i = 0; i < OWNER_COUNT * STEPS_OF_OWNER * RECORDS_PER_STEP; i += 1)
    wal.putFile(`file-${i % 11}`, `content ${i} `.repeat(1 + (i % 40)));
  return wal;
}

interface Flow {
  readonly storage: Storage;
  readonly wal: MadeWal;
  readonly durability: Durability;
  readonly told: Told;
}

/** One owner after the other takes WAL and pushes, now the tail, now layers; the last pushes all that is left when it is closed. */
async function takeAndPush({ storage, wal, durability, told }: Flow): Promise<void> {
  for (let step = 1, owner = 0; owner < OWNER_COUNT; owner += 1) {
    await using directory = await makeStateDirectory();
    const server = await openTestServer({
      storage,
      tenantId: TENANT,
      stateDirectory: directory.path,
      durability,
      clock: HASTY_CLOCK,
      onEvent: (event) => told.events.push(event),
    });
    try {
      const timeline = server.timeline(TIMELINE);
      timeline.onDurable(() => {
        told.durableLsn = timeline.durableLsn;
      });
      for (const last = step + STEPS_OF_OWNER; step < last; step += 1) {
        const end = wal.records[step * RECORDS_PER_STEP - 1]?.end ?? wal.end;
        await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn, end), timeline.receivedLsn);
        await (step % 2 === 0 ? timeline.push() : timeline.pushTail());
      }
    } finally {
      await server.close();
    }
  }
}

/** The bucket refers only to what is there, holds what was acknowledged, and the next owner can go on with it. */
async function expectRightBucket(what: string, { storage, wal, durability, told }: Flow): Promise<void> {
  expect({ what, missing: await missingLayers(storage) }).toEqual({ what, missing: [] });
  await using directory = await makeStateDirectory();
  const place = { storage, tenantId: TENANT, stateDirectory: directory.path };
  await using again = await openTestServer({ ...place, durability, clock: HASTY_CLOCK });
  const timeline = again.timeline(TIMELINE);
  expect(timeline.lastRecordLsn, what).toBeGreaterThanOrEqual(told.durableLsn);
  await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn), timeline.receivedLsn);
  await timeline.push();
  expect({ what, files: await filesOf(timeline, wal) }).toEqual({ what, files: newestFiles(wal) });
  expect({ what, missing: await missingLayers(storage) }).toEqual({ what, missing: [] });
}

/** Whether somebody who watches the process learned of it: from the layer of retries, or from the page server's own. */
function isTold({ retries }: SweptCase<void>, { events }: Told): boolean {
  const kinds = events.map(({ kind }) => kind);
  return retries.length > 0 || (kinds.includes('storage-failing') && kinds.includes('storage-recovered'));
}

/** A push never fails; an opening may, with an error that says what happened. */
function expectTypedFailure({ name, outcome, hasRetries, planned }: SweptCase<void>, told: Told): void {
  if (outcome.kind === 'done') return;
  const { error } = outcome;
  expect(
    TYPES.some((isTyped) => isTyped(error)),
    `${name}: ${String(error)}`,
  ).toBe(true);
  const count = (kind: PageServerEvent['kind']) => told.events.filter((event) => event.kind === kind).length;
  expect(count('closed'), `${name}: failed after it was opened`).toBe(count('ready'));
  expect(planned.fault.kind === 'error' && hasRetries, `${name}: is not settled by retries`).toBe(false);
}

describe.each(['local', 'remote'] as const)('a page server with durability %s', (durability) => {
  it('loses nothing acknowledged and tells of repeats, whatever happens to any of its calls', {
    timeout: 600_000,
  }, async () => {
    const wal = makeWal();
    let told: Told = { durableLsn: MADE_START, events: [] };
    const untold: string[] = [];
    const report = await sweepFaults({
      open: async () => {
        told = { durableLsn: MADE_START, events: [] };
        const storage = createMemoryStorage();
        await putMadeTimeline(storage);
        return { storage, cleanup: async () => undefined };
      },
      flow: (storage) => takeAndPush({ storage, wal, durability, told }),
      check: async (swept) => {
        expectTypedFailure(swept, told);
        if (swept.outcome.kind === 'done') expect(told.durableLsn, swept.name).toBe(wal.end);
        const { kind } = swept.planned.fault;
        if (swept.outcome.kind === 'done' && kind === 'error' && !isTold(swept, told))
          untold.push(swept.name);
        await expectRightBucket(swept.name, { storage: swept.storage, wal, durability, told });
      },
      callsOfVerbMax: CALLS_OF_VERB,
    });
    // A lease that could not be released is nobody's any more once it has expired.
    expect(untold.length, untold.join()).toBeLessThanOrEqual(OWNER_COUNT);
    expect(report.cases).toBeGreaterThan(30);
    expect(report.failed).toBeGreaterThan(5);
    expect(report.retried).toBeGreaterThan(10);
  });
});

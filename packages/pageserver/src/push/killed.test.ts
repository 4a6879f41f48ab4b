import type { Lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import type { Durability } from '../page-server/options.ts';
import { MADE_START, putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { MadeWal } from '../testing/made-wal.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { createMortalStorage, type MortalStorage } from '../testing/mortal-storage.ts';
import { filesOf, missingLayers, newestFiles } from '../testing/pushed-state.ts';

const RECORDS_PER_STEP = 7;
const STEP_COUNT = 6;

/** What a page server has told others before it died. */
interface Told {
  durableLsn: Lsn;
}

interface RunOptions {
  readonly mortal: MortalStorage;
  readonly wal: MadeWal;
  readonly stateDirectory: string;
  readonly durability: Durability;
}

/** Takes WAL, pushing now the tail, now layers, until it is done or the process dies. */
async function run({ mortal, wal, ...options }: RunOptions, told: Told): Promise<void> {
  const { storage, died } = mortal;
  const server = await openTestServer({ storage, tenantId: TENANT, ...options });
  try {
    const timeline = server.timeline(TIMELINE);
    timeline.onDurable(() => {
      told.durableLsn = timeline.durableLsn;
    });
    for (let step = 1; step <= STEP_COUNT; step += 1) {
      const end = wal.records[step * RECORDS_PER_STEP - 1]?.end ?? wal.end;
      await timeline.ingestWal(wal.bytesFrom(timeline.receivedLsn, end), timeline.receivedLsn);
      await (step % 2 === 0 ? timeline.push({ signal: died }) : timeline.pushTail({ signal: died }));
    }
    await server.close();
  } finally {
    await server.close({ timeoutMs: 0 });
  }
}

function makeWal(): MadeWal {
  const wal = new MadeWal(MADE_START);
  for (let i = 0; i < STEP_COUNT * RECORDS_PER_STEP; i += 1)
    wal.putFile(`file-${i % 11}`, `content ${i} `.repeat(1 + (i % 40)));
  return wal;
}

describe.each(['local', 'remote'] as const)('a page server with durability %s that dies', (durability) => {
  it('before or after any change of the storage loses nothing acknowledged and lists no layer that is not there', {
    timeout: 120_000,
  }, async () => {
    const wal = makeWal();
    let deaths = 0;
    let acknowledgements = 0;
    for (let dieAtChange = 1, isOver = false; !isOver; dieAtChange += 1) {
      for (const isDone of [false, true]) {
        await using inner = createMemoryStorage();
        await using directory = await makeStateDirectory();
        await putMadeTimeline(inner);
        const mortal = createMortalStorage(inner, { dieAtChange, isDone });
        const told: Told = { durableLsn: MADE_START };
        const options = { stateDirectory: directory.path, durability };
        const running = run({ mortal, wal, ...options }, told);
        await running.catch((error: unknown) => rethrowUnless(mortal.isDead, error));
        if (mortal.isDead) deaths += 1;
        else isOver = true;
        const what = `change ${dieAtChange}, ${isDone ? 'done' : 'not done'}`;
        expect({ what, missing: await missingLayers(inner) }).toEqual({ what, missing: [] });
        await using again = await openTestServer({ storage: inner, tenantId: TENANT, ...options });
        const timeline = again.timeline(TIMELINE);
        expect(timeline.lastRecordLsn).toBeGreaterThanOrEqual(told.durableLsn);
        if (told.durableLsn > MADE_START) acknowledgements += 1;
        const { receivedLsn } = timeline;
        await timeline.ingestWal(wal.bytesFrom(receivedLsn), receivedLsn);
        await timeline.push();
        expect({ what, files: await filesOf(timeline, wal) }).toEqual({ what, files: newestFiles(wal) });
        expect(await missingLayers(inner)).toEqual([]);
      }
    }
    expect(deaths).toBeGreaterThan(30);
    expect(acknowledgements).toBeGreaterThan(20);
  });
});

function rethrowUnless(isDead: boolean, error: unknown): void {
  if (!isDead) throw error;
}

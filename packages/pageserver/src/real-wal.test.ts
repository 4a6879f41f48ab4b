import { createHash } from 'node:crypto';
import { keyFromHex } from '@neon-snapshot/neon-layer';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { makeStateDirectory, openTestServer } from './testing/memory-server.ts';
import { createMortalStorage } from './testing/mortal-storage.ts';
import { seededRandom } from './testing/random.ts';
import {
  comparableValue,
  HAS_SAMPLES,
  isDirectory,
  openSampleTimeline,
  SAMPLES_NOTE,
  type SamplePhase,
  type SampleTimeline,
} from './testing/sample-timeline.ts';
import type { Timeline } from './timeline/timeline.ts';

/** Keys whose value is not the one that the real page server listed. */
async function differences(
  timeline: Timeline,
  phase: SamplePhase,
  { major }: SampleTimeline,
): Promise<readonly string[]> {
  const found: string[] = [];
  const keys = phase.listed.map(([hex]) => keyFromHex(hex));
  const values = await timeline.getMany(keys, phase.lsn);
  const real = await phase.openView();
  for (const [i, [hex, length, digest]] of phase.listed.entries()) {
    const value = values[i];
    if (value === undefined) found.push(`${hex}: none`);
    else if (isDirectory(hex)) {
      const theirs = await real.get(keyFromHex(hex));
      const isSame =
        theirs !== undefined && comparableValue(hex, theirs, major) === comparableValue(hex, value, major);
      if (!isSame) found.push(`${hex}: another directory`);
    } else if (value.length !== length || sha256(value) !== digest) found.push(`${hex}: another value`);
  }
  real.close();
  return found;
}

function sha256(value: Uint8Array): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 32);
}

describe.runIf(HAS_SAMPLES)(`WAL that a real page server took${SAMPLES_NOTE}`, () => {
  it.each([
    ['pg16', 1],
    ['pg17', 2],
  ])(
    'of %s in random pieces, with pushes and restarts in between, gives at each listed LSN the listed values',
    { timeout: 120_000 },
    async (name, seed) => {
      const sample = await openSampleTimeline(name);
      const random = seededRandom(seed);
      await using storage = createMemoryStorage();
      await using directory = await makeStateDirectory();
      await sample.putBase(storage);
      let mortal = createMortalStorage(storage);
      const open = () => {
        mortal = createMortalStorage(storage);
        const { tenantId } = sample;
        return openTestServer({ storage: mortal.storage, tenantId, stateDirectory: directory.path });
      };
      let server = await open();
      let timeline = server.timeline(sample.timelineId);
      const end = sample.phases.at(-1)?.lsn ?? sample.baseLsn;
      let restarts = 0;
      for (let at = sample.baseLsn; timeline.lastRecordLsn < end; ) {
        const size = random(10) === 0 ? random(300_000) : 1 + random(20_000);
        const offset = Number(at - sample.baseLsn);
        await timeline.ingestWal(sample.wal.slice(offset, offset + size), at);
        at = timeline.receivedLsn;
        if (random(12) === 0) await timeline.pushTail();
        if (random(20) === 0) await timeline.push();
        if (random(25) === 0) await timeline.freeze();
        if (random(40) === 0) {
          const isGraceful = random(2) === 0;
          const { durableLsn, lastRecordLsn } = timeline;
          if (!isGraceful) mortal.kill();
          await server.close({ timeoutMs: isGraceful ? 60_000 : 0 });
          server = await open();
          timeline = server.timeline(sample.timelineId);
          at = timeline.receivedLsn;
          expect(at).toBeGreaterThanOrEqual(isGraceful ? lastRecordLsn : durableLsn);
          restarts += 1;
        }
      }
      expect(restarts).toBeGreaterThan(3);
      for (const phase of sample.phases)
        expect({ phase: phase.name, wrong: await differences(timeline, phase, sample) }).toEqual({
          phase: phase.name,
          wrong: [],
        });
      await server.close();
      // And from nothing but the storage.
      await using again = await open();
      const last = sample.phases.at(-1);
      if (last !== undefined)
        expect(await differences(again.timeline(sample.timelineId), last, sample)).toEqual([]);
    },
  );
});

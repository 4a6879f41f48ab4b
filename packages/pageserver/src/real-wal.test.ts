import { createHash } from 'node:crypto';
import { keyFromHex, keyToHex } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { createBranch } from './branches/create-branch.ts';
import { makeStateDirectory, openTestServer } from './testing/memory-server.ts';
import { createMortalStorage } from './testing/mortal-storage.ts';
import { seededRandom } from './testing/random.ts';
import { differences } from './testing/sample-differences.ts';
import { HAS_SAMPLES, openSampleTimeline, SAMPLES_NOTE } from './testing/sample-timeline.ts';
import type { Timeline } from './timeline/timeline.ts';

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

  it.each(['pg16', 'pg17'])(
    'of %s in a branch gives the values that the real page server listed for its branch',
    { timeout: 120_000 },
    async (name) => {
      const sample = await openSampleTimeline(name);
      const { branch, tenantId, timelineId, wal, baseLsn } = sample;
      await using storage = createMemoryStorage();
      await using directory = await makeStateDirectory();
      await sample.putBase(storage);
      await using server = await openTestServer({ storage, tenantId, stateDirectory: directory.path });
      const take = async (timeline: Timeline, end: Lsn) => {
        const { receivedLsn } = timeline;
        const part = wal.slice(Number(receivedLsn - baseLsn), Number(end - baseLsn));
        await timeline.ingestWal(part, receivedLsn);
      };
      const main = server.timeline(timelineId);
      // It goes on behind the branch point.
      await take(main, branch.phase.lsn);
      const start = { kind: 'lsn', lsn: branch.start } as const;
      await createBranch(server, { parentId: timelineId, timelineId: branch.timelineId, start });
      const timeline = server.timeline(branch.timelineId);
      expect(timeline.ancestor).toEqual({ timelineId, lsn: branch.start });
      await take(timeline, branch.phase.lsn);
      expect(await differences(timeline, branch.phase, sample)).toEqual([]);
      await timeline.push();
      expect(await differences(timeline, branch.phase, sample)).toEqual([]);
    },
  );

  it('reads the same at every LSN while it is taken, frozen, pushed and compacted as afterwards', {
    timeout: 120_000,
  }, async () => {
    const sample = await openSampleTimeline('pg17');
    const { tenantId, timelineId, wal, baseLsn, phases } = sample;
    const random = seededRandom(5);
    await using storage = createMemoryStorage();
    await using directory = await makeStateDirectory();
    await sample.putBase(storage);
    const open = () => openTestServer({ storage, tenantId, stateDirectory: directory.path });
    const keys = (phases.at(-1)?.listed ?? []).map(([hex]) => keyFromHex(hex));
    const seen: { readonly key: Uint8Array; readonly lsn: Lsn; readonly value: string }[] = [];
    let server = await open();
    let timeline = server.timeline(timelineId);
    const end = phases.at(-1)?.lsn ?? baseLsn;
    const digest = (value: Uint8Array | undefined) =>
      value === undefined ? 'none' : createHash('sha256').update(value).digest('hex');
    const readSome = async (): Promise<void> => {
      for (let count = 0; count < 8; count += 1) {
        const key = keys[random(keys.length)];
        if (key === undefined) return;
        const back = random(3) === 0 ? BigInt(random(Number(timeline.lastRecordLsn - baseLsn) + 1)) : 0n;
        const at = lsn(timeline.lastRecordLsn - back);
        seen.push({ key, lsn: at, value: digest(await timeline.get(key, at)) });
      }
    };
    const work: Promise<unknown>[] = [];
    while (timeline.lastRecordLsn < end) {
      const { receivedLsn } = timeline;
      const offset = Number(receivedLsn - baseLsn);
      const taking = timeline.ingestWal(wal.slice(offset, offset + 1 + random(60_000)), receivedLsn);
      work.push(readSome());
      if (random(4) === 0) work.push(timeline.freeze());
      if (random(6) === 0) work.push(timeline.push());
      if (random(25) === 0) work.push(server.maintenance(timelineId)?.run() ?? Promise.resolve());
      // Only ingest is waited for: all else goes on beside it.
      await taking;
      if (random(5) === 0) await Promise.all(work.splice(0));
    }
    await Promise.all(work);
    await server.close();
    server = await open();
    timeline = server.timeline(timelineId);
    expect(seen.length).toBeGreaterThan(2000);
    const wrong: string[] = [];
    for (const { key, lsn: at, value } of seen)
      if (digest(await timeline.get(key, at)) !== value) wrong.push(`${keyToHex(key)} at ${formatLsn(at)}`);
    expect(wrong).toEqual([]);
    await server.close();
  });
});

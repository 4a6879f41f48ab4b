import { isL0 } from '@neon-snapshot/neon-layer';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { createBranch } from '../branches/create-branch.ts';
import { deleteBranch } from '../branches/delete-branch.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { layerMapFaults } from '../testing/layer-map-faults.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { differences } from '../testing/sample-differences.ts';
import {
  HAS_SAMPLES,
  openSampleTimeline,
  SAMPLES_NOTE,
  type SampleTimeline,
} from '../testing/sample-timeline.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { TimelineMaintenance } from './timeline-maintenance.ts';

const MIB = 1024 * 1024;
const BRANCH = 'd'.repeat(32);
const HOUR_MS = 3_600_000;
/** Long after the samples were made. */
const LATE_MS = Date.parse('2036-01-01T00:00:00Z');

/** Small layers and much to do. */
const SETTINGS = {
  l0CountMin: 4,
  l1CountMin: 3,
  l1BytesMax: MIB,
  imageDeltasMin: 2,
  imageChangedRatio: 0.05,
  partitionBytes: 4 * MIB,
  imageBytesMax: 512 * 1024,
  gcPeriodMs: 0,
  gcHorizonBytes: 0,
};

function maintenanceOf(
  server: PageServer,
  timeline: Timeline,
  options: { now: Date; pitrIntervalMs: number },
) {
  return new TimelineMaintenance(timeline, {
    bucket: server.bucket,
    generation: server.generation,
    assertHeld: (call) => server.assertHeld(call),
    leased: () => server.leased(),
    now: () => options.now,
    pitrIntervalMs: options.pitrIntervalMs,
    gcGraceMs: 0,
    settings: SETTINGS,
  });
}

/** Takes all WAL of a sample, with some pushes and maintenance after each. */
async function ingestAll(server: PageServer, sample: SampleTimeline, maintenance: TimelineMaintenance) {
  const timeline = server.timeline(sample.timelineId);
  const end = sample.phases.at(-1)?.lsn ?? sample.baseLsn;
  for (let at = sample.baseLsn; timeline.lastRecordLsn < end; at = timeline.receivedLsn) {
    const offset = Number(at - sample.baseLsn);
    const offsetEnd = Math.min(offset + 300_000, Number(end - sample.baseLsn));
    await timeline.ingestWal(sample.wal.slice(offset, offsetEnd), at);
    await timeline.push();
    await maintenance.run();
    expect(timeline.source.layers.layers.filter(({ desc }) => isL0(desc)).length).toBeLessThan(4);
  }
}

describe.runIf(HAS_SAMPLES)(`a page server that looks after its layers${SAMPLES_NOTE}`, () => {
  test.each(['pg16', 'pg17'])(
    'gives the listed values of %s, also a branch and after garbage collection and a restart',
    { timeout: 120_000 },
    async (name) => {
      const sample = await openSampleTimeline(name);
      const [, p1, , p3] = sample.phases;
      if (p1 === undefined || p3 === undefined) throw new Error('a sample has four phases');
      await using storage = createMemoryStorage();
      await using directory = await makeStateDirectory();
      await sample.putBase(storage);
      const { tenantId, timelineId } = sample;
      const open = () => openTestServer({ storage, tenantId, stateDirectory: directory.path });
      let server = await open();
      const timeline = server.timeline(timelineId);
      const now = new Date(LATE_MS);
      const compacting = maintenanceOf(server, timeline, { now, pitrIntervalMs: 100 * 365 * 24 * HOUR_MS });
      await ingestAll(server, sample, compacting);
      expect(compacting.counters).toMatchObject({ failures: 0, layersCollected: 0 });
      expect(compacting.counters.l1LayersCompacted).toBeGreaterThan(0);
      expect(timeline.source.layers.layers.some(({ desc }) => desc.lsnStart > sample.baseLsn)).toBe(true);
      expect(layerMapFaults(timeline.source.layers.layers.map(({ desc }) => desc))).toEqual([]);
      for (const phase of sample.phases) expect(await differences(timeline, phase, sample)).toEqual([]);
      const start = { kind: 'lsn', lsn: p1.lsn } as const;
      await createBranch(server, { parentId: timelineId, timelineId: BRANCH, start });
      expect(await differences(server.timeline(BRANCH), p1, sample)).toEqual([]);
      const collecting = maintenanceOf(server, timeline, { now, pitrIntervalMs: HOUR_MS });
      await collecting.run();
      await collecting.run();
      expect(collecting.counters.objectsDeleted).toBeGreaterThan(0);
      expect(timeline.gcCutoff).toBe(p3.lsn);
      await server.close();
      server = await open();
      expect(await differences(server.timeline(timelineId), p3, sample)).toEqual([]);
      expect(await differences(server.timeline(BRANCH), p1, sample)).toEqual([]);
      await deleteBranch(server, { timelineId: BRANCH });
      expect(server.timelines().map((each) => each.timelineId)).toEqual([timelineId]);
      await server.close();
    },
  );
});

import { isL0 } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { buildDeltaLayers } from './delta-layers.ts';
import { MemoryTimeline } from './memory-timeline.ts';
import {
  type ComparableEntry,
  comparable,
  HAS_SAMPLES,
  openSample,
  SAMPLES_NOTE,
  type Sample,
} from './testing/samples.ts';
import type { IngestWrite } from './timeline-state.ts';
import { WalIngest } from './wal-ingest.ts';

/** Where the WAL of a timeline begins: above its images, or at the branch point. */
function startOf({ index, ancestor }: Sample['source']): Lsn {
  return ancestor?.lsn ?? index.metadata.initdbLsn;
}

/** Ingests all WAL of a timeline over the state that its own storage has where that WAL begins. */
async function ingestAll(sample: Sample): Promise<readonly IngestWrite[]> {
  const { major, source } = sample;
  const start = startOf(source);
  const timeline = new MemoryTimeline({ base: await sample.viewAt(start) });
  const ingest = await WalIngest.open({ major, heapLayout: 'stock', state: timeline, sink: timeline.apply });
  const end = source.index.metadata.diskConsistentLsn;
  for (const record of sample.walFrom(start, end)) await ingest.ingest(record);
  expect(ingest.lastRecordLsn).toBe(end);
  return timeline.writes;
}

async function realEntries(sample: Sample): Promise<Map<string, ComparableEntry>> {
  const entries = new Map<string, ComparableEntry>();
  for (const layer of sample.deltas) {
    for (const entry of await sample.entriesOf(layer)) {
      expect(entries.has(entry.id)).toBe(false);
      entries.set(entry.id, entry);
    }
  }
  return entries;
}

/** What is not equal: `+` only ours, `-` only the page server's, `≠` another value. */
function differences(
  sample: Sample,
  ours: readonly IngestWrite[],
  real: ReadonlyMap<string, ComparableEntry>,
): readonly string[] {
  const left = new Map(real);
  const found: string[] = [];
  for (const write of ours) {
    const { id, value, willInit } = comparable(write, sample.major);
    const other = left.get(id);
    left.delete(id);
    if (other === undefined) found.push(`+ ${id}`);
    else if (other.willInit !== willInit || Buffer.compare(other.value, value) !== 0) found.push(`≠ ${id}`);
  }
  return [...found, ...[...left.keys()].map((id) => `- ${id}`)];
}

describe.runIf(HAS_SAMPLES)(`WAL that a real page server ingested${SAMPLES_NOTE}`, () => {
  it.each([
    ['pg16', 'main', 42_608],
    ['pg16', 'branch', 12_637],
    ['pg17', 'main', 42_535],
    ['pg17', 'branch', 12_561],
  ])(
    'gives exactly the keys, LSNs and values of the delta layers of %s %s',
    async (name, timeline, entryCount) => {
      const sample = await openSample(name, timeline);
      const real = await realEntries(sample);
      expect(real.size).toBe(entryCount);
      expect(differences(sample, await ingestAll(sample), real)).toEqual([]);
    },
    60_000,
  );

  it.each([
    ['pg16', 'main', 2],
    ['pg16', 'branch', 14],
    ['pg17', 'branch', 13],
  ])(
    'gives the L0 layer files of %s %s byte for byte, the order inside directories aside',
    async (name, timeline, layerCount) => {
      const sample = await openSample(name, timeline);
      const writes = await ingestAll(sample);
      const layers = sample.deltas.filter(({ desc }) => isL0(desc));
      expect(layers.length).toBe(layerCount);
      for (const layer of layers) {
        const { lsnStart, lsnEnd } = layer.desc;
        const real = new Map((await sample.entriesOf(layer)).map((entry) => [entry.id, entry]));
        const inside = writes.filter((write) => write.lsn >= lsnStart && write.lsn < lsnEnd);
        expect(differences(sample, inside, real)).toEqual([]);
        // Equal as sets: so take the stored order of directories, and the whole file has to be the same.
        const ordered = inside.map((write) => ({
          ...write,
          value: real.get(comparable(write, sample.major).id)?.stored ?? write.value,
        }));
        const identity = { tenantId: sample.source.tenant.tenantId, timelineId: sample.source.timelineId };
        const [built, ...others] = buildDeltaLayers(ordered, { ...identity, lsnStart, lsnEnd: lsn(lsnEnd) });
        expect(others).toEqual([]);
        expect(built?.name).toBe(layer.name);
        expect(Buffer.concat(built?.chunks ?? []).equals(sample.bytesOf(layer))).toBe(true);
      }
    },
    60_000,
  );
});

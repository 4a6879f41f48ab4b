import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { keyToHex, parseKey } from '@neon-snapshot/neon-layer';
import { describe, expect, it } from 'vitest';
import { HAS_SAMPLES, SAMPLES_NOTE, sampleDirectory } from '../testing/sample-wal.ts';
import { sampleFacts, sampleWithTail } from '../testing/sample-with-tail.ts';
import { loadTimelineWithTail } from './load-timeline-with-tail.ts';
import { openTimeline } from './open-timeline.ts';

/** Directories are stored in a random order: that of the real page server was another one. */
function hasOrder(key: Uint8Array): boolean {
  return parseKey(key).kind.endsWith('directory');
}

function expectedValues(name: string, phase: string): Map<string, string> {
  const text = gunzipSync(
    readFileSync(`${sampleDirectory(name)}expected/values-main-${phase}.tsv.gz`),
  ).toString();
  const rows = text.trimEnd().split('\n');
  return new Map(rows.map((row) => [row.slice(0, row.indexOf('\t')), row.slice(row.lastIndexOf('\t') + 1)]));
}

describe.runIf(HAS_SAMPLES)(`a timeline whose WAL is all in its raw tail${SAMPLES_NOTE}`, () => {
  it.each(['pg16', 'pg17'])(
    'has the values of the real page server of %s, key by key',
    { timeout: 120_000 },
    async (name) => {
      const { place, phases } = sampleFacts(name);
      await using storage = await sampleWithTail(name);
      const options = { tenant: place.tenantId, timelineId: place.timelineId };
      const loaded = await loadTimelineWithTail(storage, options);
      const last = phases.at(-1);
      expect(loaded.source.index.metadata.diskConsistentLsn).toBe(last?.lsn);
      expect(loaded.tail).toEqual({ start: phases[0]?.lsn, end: last?.lsn, generation: 7 });
      for (const phase of phases) {
        const expected = expectedValues(name, phase.name);
        const keys = [...expected.keys()]
          .sort()
          .map((key) => Uint8Array.from(Buffer.from(key, 'hex')))
          .filter((key) => !hasOrder(key));
        const timeline = await openTimeline(storage, { ...options, loaded, lsn: phase.lsn });
        const values = await timeline.getMany(keys);
        timeline.close();
        const wrong = keys.flatMap((key, index) => {
          const digest = createHash('sha256')
            .update(values[index] ?? new Uint8Array())
            .digest('hex')
            .slice(0, 32);
          return digest === expected.get(keyToHex(key)) ? [] : [keyToHex(key)];
        });
        expect(keys.length).toBeGreaterThan(3000);
        expect(wrong).toEqual([]);
      }
    },
  );
});

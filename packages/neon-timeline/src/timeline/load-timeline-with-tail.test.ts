import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import {
  encodeIndexPart,
  indexObjectKey,
  keyToHex,
  loadTimeline,
  parseKey,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn, parseLsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, readAll, type Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { describe, expect, it } from 'vitest';
import { putTailChunk } from '../tail/tail-objects.ts';
import { HAS_SAMPLES, SAMPLES_NOTE, sampleDirectory, sampleWal } from '../testing/sample-wal.ts';
import { loadTimelineWithTail } from './load-timeline-with-tail.ts';
import { openTimeline } from './open-timeline.ts';

/*
 * Timelines of a real page server as they were before it ingested anything, with all WAL that it ingested later as raw tail.
 */

const CHUNK_BYTES = 300_000;

interface Sample {
  readonly place: { readonly tenantId: string; readonly timelineId: string };
  readonly phases: readonly { readonly name: string; readonly lsn: Lsn }[];
  readonly base: Lsn;
}

function sampleFacts(name: string): Sample {
  const facts = JSON.parse(readFileSync(`${sampleDirectory(name)}expected.json`, 'utf8'));
  const phases = [...facts.phases].map((phase) => ({
    name: String(phase.name),
    lsn: parseLsn(String(phase.lsn)),
  }));
  const place = { tenantId: String(facts.tenant), timelineId: String(facts.timelines.main) };
  return { place, phases, base: phases[0]?.lsn ?? lsn(0n) };
}

/** Its imported images, an index that ends there, and WAL up to the end of the last record that ends at `end`. */
async function beforeIngest(name: string): Promise<Storage> {
  const { place, base, phases } = sampleFacts(name);
  const { tenantId, timelineId } = place;
  const storage = createMemoryStorage();
  const real = await openFsStorage({ rootPath: `${sampleDirectory(name)}storage` });
  const { index, layers } = await loadTimeline(real, { tenant: tenantId, timelineId });
  const images = layers.layers.filter(({ desc }) => desc.kind === 'image' && desc.lsnStart === base);
  for (const { objectKey, sizeBytes } of images) {
    const { body } = await real.get(objectKey);
    await storage.put(objectKey, await readAll(body, { sizeMaxBytes: sizeBytes }));
  }
  const names = new Set(images.map((layer) => layer.name));
  const bytes = encodeIndexPart({
    layers: new Map([...index.layers].filter(([layer]) => names.has(layer))),
    diskConsistentLsn: base,
    metadata: {
      ...index.metadata,
      diskConsistentLsn: base,
      prevRecordLsn: undefined,
      latestGcCutoffLsn: base,
    },
  });
  const tenant = { tenantId, shard: UNSHARDED };
  await storage.put(indexObjectKey({ tenant, timelineId, generation: 7 }), bytes);
  await putWal(storage, { name, base, end: phases.at(-1)?.lsn ?? base });
  return storage;
}

/** Cuts it anywhere: also in records. */
async function putWal(
  storage: Storage,
  { name, base, end }: { readonly name: string; readonly base: Lsn; readonly end: Lsn },
): Promise<void> {
  const stream = sampleWal(name);
  for (let start = base; start < end; start = lsn(start + BigInt(CHUNK_BYTES))) {
    const from = Number(start - stream.start);
    const bytes = stream.bytes.subarray(from, Math.min(from + CHUNK_BYTES, Number(end - stream.start)));
    await putTailChunk(storage, { ...sampleFacts(name).place, start, bytes, generation: 7 });
  }
}

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
      await using storage = await beforeIngest(name);
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

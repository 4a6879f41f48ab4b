/*
 * A timeline of a real page server as it was before it ingested anything, with all WAL that it ingested later as raw tail.
 */
import { readFileSync } from 'node:fs';
import { encodeIndexPart, indexObjectKey, loadTimeline, UNSHARDED } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn, parseLsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, readAll, type Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { putTailChunk } from '../tail/tail-objects.ts';
import { sampleDirectory, sampleWal } from './sample-wal.ts';

const CHUNK_BYTES = 300_000;

export interface SampleWithTail {
  readonly place: { readonly tenantId: string; readonly timelineId: string };
  readonly phases: readonly { readonly name: string; readonly lsn: Lsn }[];
  readonly base: Lsn;
}

export function sampleFacts(name: string): SampleWithTail {
  const facts = JSON.parse(readFileSync(`${sampleDirectory(name)}expected.json`, 'utf8'));
  const phases = [...facts.phases].map((phase) => ({
    name: String(phase.name),
    lsn: parseLsn(String(phase.lsn)),
  }));
  const place = { tenantId: String(facts.tenant), timelineId: String(facts.timelines.main) };
  return { place, phases, base: phases[0]?.lsn ?? lsn(0n) };
}

/** Its imported images, an index that ends there, and WAL up to the end of the last record that ends at `end`. */
export async function sampleWithTail(name: string): Promise<Storage> {
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

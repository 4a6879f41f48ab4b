import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { DeltaLayerBuilder } from '../delta-layer-builder.ts';
import { type ShardIndex, UNSHARDED } from '../identifiers.ts';
import { ImageLayerBuilder } from '../image-layer-builder.ts';
import { encodeIndexPart, type LayerMetadata } from '../index-part.ts';
import { compareKeys, KEY_MAX, KEY_MIN } from '../key.ts';
import type { BuiltLayer } from '../layer-assembly.ts';
import { createPageCompressor } from '../page-compressor.ts';
import { indexObjectKey, layerObjectKey } from '../remote-path.ts';
import { encodeValue, type Value, willInit } from '../value.ts';

export const TENANT = '10101010101010101010101010101010';
export const MAIN = '20202020202020202020202020202020';
export const BRANCH = '30303030303030303030303030303030';

/** Some layers of a made-up timeline, over all keys unless said otherwise. */
export type LayerContent =
  | {
      readonly imageAt: number;
      readonly entries: readonly (readonly [Uint8Array, Uint8Array])[];
      readonly keys?: KeySpan;
    }
  | {
      readonly deltaOf: readonly [number, number];
      readonly changes: readonly (readonly [Uint8Array, number, Value])[];
    };

type KeySpan = readonly [Uint8Array, Uint8Array];

export interface MemoryTimeline {
  readonly timelineId?: string;
  readonly generation?: number;
  readonly shard?: ShardIndex;
  readonly gcCutoff?: number;
  /** `disk_consistent_lsn`. */
  readonly end: number;
  readonly layers: readonly LayerContent[];
  readonly ancestor?: { readonly timelineId: string; readonly at: number };
}

/** Stores a timeline whose LSNs are small numbers; an object per layer and an index. */
export async function storeTimeline(storage: Storage, timeline: MemoryTimeline): Promise<void> {
  const { timelineId = MAIN, generation = 1, shard = UNSHARDED, end, ancestor } = timeline;
  const layers = new Map<string, LayerMetadata>();
  for (const content of timeline.layers) {
    const layer = buildLayer(timelineId, content);
    const objectKey = layerObjectKey({
      tenantId: TENANT,
      timelineId,
      layerName: layer.name,
      shard: shard.count > 0 ? shard : undefined,
      generation,
    });
    await storage.put(objectKey, Uint8Array.from(Buffer.concat(layer.chunks)));
    const own = shard.count > 0 ? { shard } : {};
    layers.set(layer.name, { fileSize: layer.sizeBytes, generation, ...own });
  }
  const index = encodeIndexPart({
    layers,
    diskConsistentLsn: at(end),
    metadata: {
      diskConsistentLsn: at(end),
      ancestorTimelineId: ancestor?.timelineId,
      ancestorLsn: at(ancestor?.at ?? 0),
      latestGcCutoffLsn: at(timeline.gcCutoff ?? 1),
      initdbLsn: at(1),
      postgresMajor: 17,
    },
  });
  const tenant = { tenantId: TENANT, shard };
  await storage.put(indexObjectKey({ tenant, timelineId, generation }), index);
}

export async function memoryTimelines(...timelines: readonly MemoryTimeline[]): Promise<Storage> {
  const storage = createMemoryStorage();
  for (const timeline of timelines) await storeTimeline(storage, timeline);
  return storage;
}

export function at(value: number): Lsn {
  return lsn(BigInt(value));
}

export function imageValue(image: Uint8Array): Value {
  return { kind: 'image', image };
}

/** A WAL record that is told apart by one byte. */
export function recordValue(byte: number, options: { readonly willInit?: boolean } = {}): Value {
  const record = {
    kind: 'postgres',
    willInit: options.willInit ?? false,
    record: Uint8Array.of(byte),
  } as const;
  return { kind: 'record', record };
}

function buildLayer(timelineId: string, content: LayerContent): BuiltLayer {
  const identity = { tenantId: TENANT, timelineId };
  if ('imageAt' in content) {
    const [keyStart, keyEnd] = content.keys ?? [KEY_MIN, KEY_MAX];
    const compressor = createPageCompressor();
    const builder = new ImageLayerBuilder({ ...identity, lsn: at(content.imageAt), keyStart });
    for (const [key, value] of content.entries) builder.appendBlob(key, compressor.encodeBlob(value));
    return builder.finish(keyEnd);
  }
  const [start, end] = content.deltaOf;
  const builder = new DeltaLayerBuilder({ ...identity, keyStart: KEY_MIN, lsnStart: at(start) });
  const ordered = content.changes.toSorted((a, b) => compareKeys(a[0], b[0]) || a[1] - b[1]);
  for (const [key, lsnValue, value] of ordered) {
    builder.append({ key, lsn: at(lsnValue), value: encodeValue(value), willInit: willInit(value) });
  }
  return builder.finish({ keyEnd: KEY_MAX, lsnEnd: at(end) });
}

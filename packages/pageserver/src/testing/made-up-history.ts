/** A made-up timeline of a few keys, with what every key is at every LSN known without reading a layer. */
import {
  type BuiltLayer,
  DeltaLayerBuilder,
  encodeIndexPart,
  encodePlainBlob,
  encodeValue,
  ImageLayerBuilder,
  indexObjectKey,
  KEY_MAX,
  KEY_MIN,
  keyFromHex,
  type RedoFunction,
  UNSHARDED,
  type Value,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { MemoryTarget } from './memory-target.ts';

export const TENANT = '10101010101010101010101010101010';
export const MAIN = '20202020202020202020202020202020';
const GENERATION = 7;
/** LSN of the first images. */
export const START = 100;

/** A change of a key: a whole new value, or a record that adds a byte to the value before. */
export interface Change {
  readonly key: number;
  readonly lsn: number;
  readonly isImage: boolean;
}

/** Keys of no known kind, which hold values of any length. */
export const keyOf = (number: number): Uint8Array => keyFromHex(`10${'0'.repeat(32)}${hex(number)}`);

const hex = (number: number) => number.toString(16).padStart(2, '0').toUpperCase();
const byteOf = ({ key, lsn: at }: Change) => (key * 31 + at) % 251;

/** What a key is at an LSN: every change leaves a byte of its own. */
export function valueAt(changes: readonly Change[], key: number, at: number): Uint8Array {
  let value = [255, key];
  for (const change of changes.toSorted((a, b) => a.lsn - b.lsn)) {
    if (change.key !== key || change.lsn > at) continue;
    value = change.isImage ? [byteOf(change)] : [...value, byteOf(change)];
  }
  return Uint8Array.from(value);
}

/** Redo of these records: adds their bytes. */
export const appendRedo: RedoFunction = async ({ base, records }) =>
  Uint8Array.from([
    ...(base ?? []),
    ...records.flatMap(({ record }) => (record.kind === 'postgres' ? [...record.record] : [])),
  ]);

function changeValue(change: Change): Value {
  const bytes = Uint8Array.of(byteOf(change));
  if (change.isImage) return { kind: 'image', image: bytes };
  return { kind: 'record', record: { kind: 'postgres', willInit: false, record: bytes } };
}

const identity = { tenantId: TENANT, timelineId: MAIN };

/** An L0 layer with the changes in `[from, to)`; undefined where there are none. */
export function l0Layer(changes: readonly Change[], from: number, to: number): BuiltLayer | undefined {
  const own = changes
    .filter((change) => change.lsn >= from && change.lsn < to)
    .sort((a, b) => a.key - b.key || a.lsn - b.lsn);
  if (own.length === 0) return undefined;
  const builder = new DeltaLayerBuilder({ ...identity, keyStart: KEY_MIN, lsnStart: toLsn(from) });
  for (const change of own) {
    const value = encodeValue(changeValue(change));
    builder.append({ key: keyOf(change.key), lsn: toLsn(change.lsn), value, willInit: change.isImage });
  }
  return builder.finish({ keyEnd: KEY_MAX, lsnEnd: toLsn(to) });
}

/** An image layer of keys `[first, end)` at an LSN; where it is the first or the last one, up to the end of all keys. */
export function imageLayer(
  changes: readonly Change[],
  { first, end, keyCount, at }: { first: number; end: number; keyCount: number; at: number },
): BuiltLayer {
  const keyStart = first === 0 ? KEY_MIN : keyOf(first);
  const builder = new ImageLayerBuilder({ ...identity, lsn: toLsn(at), keyStart });
  for (let key = first; key < end; key += 1)
    builder.appendBlob(keyOf(key), encodePlainBlob(valueAt(changes, key, at)));
  return builder.finish(end === keyCount ? KEY_MAX : keyOf(end));
}

export const toLsn = (value: number): Lsn => lsn(BigInt(value));

/** A timeline whose first images are stored, and that ends at `end`. */
export async function openMadeUp(keyCount: number, end: number): Promise<MemoryTarget> {
  const storage: Storage = createMemoryStorage();
  const index = encodeIndexPart({
    layers: new Map(),
    diskConsistentLsn: toLsn(end),
    metadata: {
      diskConsistentLsn: toLsn(end),
      ancestorLsn: ZERO_LSN,
      latestGcCutoffLsn: toLsn(START),
      initdbLsn: toLsn(START),
      postgresMajor: 17,
    },
  });
  const tenant = { tenantId: TENANT, shard: UNSHARDED };
  await storage.put(indexObjectKey({ tenant, timelineId: MAIN, generation: GENERATION }), index);
  const target = await MemoryTarget.open({
    storage,
    tenantId: TENANT,
    timelineId: MAIN,
    generation: GENERATION,
    redo: appendRedo,
  });
  await addLayers(target, [imageLayer([], { first: 0, end: keyCount, keyCount, at: START })]);
  return target;
}

export async function addLayers(
  target: MemoryTarget,
  layers: readonly (BuiltLayer | undefined)[],
): Promise<void> {
  const names = new Set(target.source.index.layers.keys());
  for (const layer of layers) {
    if (layer === undefined || names.has(layer.name)) continue;
    await target.publish({ add: [await target.putLayer(layer)] });
    names.add(layer.name);
  }
}

import { setImmediate } from 'node:timers/promises';
import {
  DeltaLayerBuilder,
  formatLayerName,
  KEY_SIZE,
  keyRangeOf,
  LayerFile,
  type StoredLayer,
} from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { MergePlan, Stripe } from './delta-plans.ts';
import { L1Divider, type L1Sink, lsnOf, type SizedValue } from './l1-divider.ts';
import { mergeSorted } from './merge-sorted.ts';
import type { StagedLayers } from './staged-layers.ts';
import type { CompactionTarget } from './target.ts';

/** Stored values that are read by one request, besides the rest of a node of the index. */
const GROUP_BYTES = 1024 * 1024;

export interface CompactDeltasOptions extends CallOptions {
  /** Neon's `compaction_target_size`: stored values of a new layer at most; so much is in memory. */
  readonly layerBytesMax: number;
}

/** A value as its layer stores it. */
interface StoredValue extends SizedValue {
  readonly willInit: boolean;
  /** Bytes of the layer, from `offset` on the value's. */
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/**
 * Merges delta layers into others that each are over a part of the keys; no value is changed. One new layer is in memory at
 * a time, and the values of one key. Gives the layers that are listed no more.
 */
export async function compactDeltas(
  target: CompactionTarget,
  staged: StagedLayers,
  { plan, ...options }: CompactDeltasOptions & { readonly plan: MergePlan<StoredLayer> },
): Promise<readonly StoredLayer[]> {
  const { stripes, lsnStart, lsnEnd } = plan;
  const replaced = new Set(stripes.flatMap(({ layers }) => layers.map(({ name }) => name)));
  const sink = new LayerSink(target, { staged, replaced, ...options });
  const divider = new L1Divider(sink, { lsnStart, lsnEnd, layerBytesMax: options.layerBytesMax });
  for await (const group of mergeSorted(stripes.map((stripe) => valuesOf(target, stripe, options)))) {
    for (const value of group) if (!divider.addNow(value)) await divider.addClosing(value);
    // Reads that the cache answers take no turn of the event loop by themselves.
    await setImmediate();
  }
  await divider.finish();
  return staged.publish([...replaced], options);
}

/** Builds the layers and stores them. */
class LayerSink implements L1Sink<StoredValue> {
  readonly #target: CompactionTarget;
  readonly #options: CallOptions & { readonly staged: StagedLayers; readonly replaced: Set<string> };
  #builder: DeltaLayerBuilder | undefined;

  constructor(
    target: CompactionTarget,
    options: CallOptions & { readonly staged: StagedLayers; readonly replaced: Set<string> },
  ) {
    this.#target = target;
    this.#options = options;
  }

  open(start: { readonly keyStart: Uint8Array; readonly lsnStart: Lsn }): void {
    const { tenantId, timelineId } = this.#target;
    this.#builder = new DeltaLayerBuilder({ tenantId, timelineId, ...start });
  }

  append(value: StoredValue): void {
    const { keyAndLsn, willInit, bytes, offset, length } = value;
    this.#builder?.appendStored({
      key: keyAndLsn.subarray(0, KEY_SIZE),
      lsn: lsnOf(value),
      value: bytes.subarray(offset, offset + length),
      willInit,
    });
  }

  async close(end: { readonly keyEnd: Uint8Array; readonly lsnEnd: Lsn }): Promise<void> {
    const layer = this.#builder?.finish(end);
    this.#builder = undefined;
    if (layer === undefined) return;
    const { staged, replaced, signal } = this.#options;
    // Of a key with very many values, some may lie in a layer of the same ranges already: it is what was built just now.
    if (replaced.delete(formatLayerName(layer.desc))) return;
    await staged.put(layer, { signal });
  }
}

/** What a stripe holds, one layer after the other. */
async function* valuesOf(
  { storage, tenantId }: CompactionTarget,
  { layers }: Stripe<StoredLayer>,
  { signal }: CallOptions,
): AsyncGenerator<readonly StoredValue[]> {
  for (const { objectKey, desc, sizeBytes } of layers)
    yield* valuesIn(await LayerFile.open(storage, objectKey, { desc, sizeBytes, tenantId, signal }), {
      signal,
    });
}

type PlacedValue = Omit<StoredValue, 'bytes'>;

async function* valuesIn(file: LayerFile, { signal }: CallOptions): AsyncGenerator<readonly StoredValue[]> {
  let group: PlacedValue[] = [];
  let start = 0;
  let end = 0;
  for await (const slice of file.slices(keyRangeOf(file.desc), { signal })) {
    if (group.length === 0) start = file.offsetAt(slice, slice.from);
    for (let i = slice.from; i < slice.to; i += 1) {
      const offset = file.offsetAt(slice, i);
      end = file.endOffsetAt(slice, i);
      const willInit = slice.leaf.valueAt(i) % 2 === 1;
      group.push({ keyAndLsn: slice.leaf.keyAt(i), offset: offset - start, length: end - offset, willInit });
    }
    if (end - start < GROUP_BYTES) continue;
    yield await withBytes(file, group, { start, end, signal });
    group = [];
  }
  if (group.length > 0) yield await withBytes(file, group, { start, end, signal });
}

/** Values lie side by side in the order of their keys. */
async function withBytes(
  file: LayerFile,
  group: readonly PlacedValue[],
  { start, end, signal }: CallOptions & { readonly start: number; readonly end: number },
): Promise<readonly StoredValue[]> {
  const bytes = await file.readRange({ offset: start, length: end - start }, { signal });
  return group.map(({ keyAndLsn, offset, length, willInit }) => ({
    keyAndLsn,
    offset,
    length,
    willInit,
    bytes,
  }));
}

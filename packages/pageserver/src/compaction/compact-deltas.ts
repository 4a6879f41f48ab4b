import { setImmediate } from 'node:timers/promises';
import {
  BlockCache,
  compareKeys,
  DeltaLayerBuilder,
  formatLayerName,
  keyRangeOf,
  type LayerEntry,
  LayerFile,
  type StoredLayer,
} from '@neon-snapshot/neon-layer';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { MergePlan, Stripe } from './delta-plans.ts';
import { cutL1, type L1Cut } from './l1-cuts.ts';
import { mergeSorted } from './merge-sorted.ts';
import type { StagedLayers } from './staged-layers.ts';
import type { CompactionTarget } from './target.ts';

/** Values that are read together from one layer. */
const GROUP_ENTRIES = 512;
/** For the index blocks of all layers: they are walked twice. */
const INDEX_CACHE_BYTES = 32 * 1024 * 1024;

export interface CompactDeltasOptions extends CallOptions {
  /** Neon's `compaction_target_size`: stored values of a new layer at most; so much is in memory. */
  readonly layerBytesMax: number;
}

interface StoredEntry extends LayerEntry {
  readonly blob: Uint8Array;
}

/**
 * Merges delta layers into others that each are over a part of the keys; no value is changed. One new layer is in memory at
 * a time. Gives the layers that are listed no more.
 */
export async function compactDeltas(
  target: CompactionTarget,
  staged: StagedLayers,
  { plan, ...options }: CompactDeltasOptions & { readonly plan: MergePlan<StoredLayer> },
): Promise<readonly StoredLayer[]> {
  const cache = new BlockCache({ sizeMaxBytes: INDEX_CACHE_BYTES });
  const open = (layer: StoredLayer) => openLayer(target, layer, { cache, ...options });
  const merged = mergeSorted(plan.stripes.map((stripe) => inOrder(stripe, open, storedEntries, options)));
  const entries = mergeSorted(plan.stripes.map((stripe) => inOrder(stripe, open, indexEntries, options)));
  const { lsnStart, lsnEnd } = plan;
  const values = new EntryReader(merged);
  const replaced = new Set(plan.stripes.flatMap(({ layers }) => layers.map(({ name }) => name)));
  try {
    for await (const cut of cutL1(entries, { lsnStart, lsnEnd, layerBytesMax: options.layerBytesMax })) {
      const isThere = replaced.delete(formatLayerName({ kind: 'delta', ...cut }));
      const layer = await buildL1(target, cut, values);
      // Of a key with very many values, some may lie in a layer of the same ranges: it is what was built just now.
      if (!isThere) await staged.put(layer, options);
    }
  } finally {
    await merged.return(undefined);
  }
  return staged.publish([...replaced], options);
}

function openLayer(
  { storage, tenantId }: CompactionTarget,
  { objectKey, desc, sizeBytes }: StoredLayer,
  { cache, signal }: CallOptions & { readonly cache: BlockCache },
): Promise<LayerFile> {
  return LayerFile.open(storage, objectKey, { desc, sizeBytes, tenantId, cache, signal });
}

/** What a stripe holds, one layer after the other. */
async function* inOrder<Entry>(
  { layers }: Stripe<StoredLayer>,
  open: (layer: StoredLayer) => Promise<LayerFile>,
  read: (file: LayerFile, options: CallOptions) => AsyncGenerator<readonly Entry[]>,
  options: CallOptions,
): AsyncGenerator<readonly Entry[]> {
  for (const layer of layers) yield* read(await open(layer), options);
}

async function* indexEntries(
  file: LayerFile,
  { signal }: CallOptions,
): AsyncGenerator<readonly LayerEntry[]> {
  for await (const slice of file.slices(keyRangeOf(file.desc), { signal })) {
    const group: LayerEntry[] = [];
    for (let i = slice.from; i < slice.to; i += 1) group.push(file.entryAt(slice, i));
    yield group;
  }
}

async function* storedEntries(
  file: LayerFile,
  { signal }: CallOptions,
): AsyncGenerator<readonly StoredEntry[]> {
  let group: StoredEntry[] = [];
  for await (const { entry, blob } of file.readBlobs(file.entries(undefined, { signal }), { signal })) {
    group.push({ ...entry, blob });
    if (group.length < GROUP_ENTRIES) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

async function buildL1({ tenantId, timelineId }: CompactionTarget, cut: L1Cut, values: EntryReader) {
  const builder = new DeltaLayerBuilder({ tenantId, timelineId, ...cut });
  for (let entry = await values.peek(); entry !== undefined; entry = values.next() ?? (await values.peek())) {
    if (compareKeys(entry.key, cut.keyEnd) >= 0 || entry.lsn >= cut.lsnEnd) break;
    builder.appendStored({ ...entry, value: entry.blob });
  }
  return builder.finish(cut);
}

/** Walks over groups of entries, and lets others have the thread between them. */
class EntryReader {
  readonly #groups: AsyncGenerator<readonly StoredEntry[]>;
  #group: readonly StoredEntry[] = [];
  #index = 0;

  constructor(groups: AsyncGenerator<readonly StoredEntry[]>) {
    this.#groups = groups;
  }

  /** The entry at hand; undefined at the end. */
  async peek(): Promise<StoredEntry | undefined> {
    while (this.#index >= this.#group.length) {
      await setImmediate();
      const next = await this.#groups.next();
      if (next.done === true) return undefined;
      this.#group = next.value;
      this.#index = 0;
    }
    return this.#group[this.#index];
  }

  /** Leaves the entry at hand; gives the one behind it where it is there already. */
  next(): StoredEntry | undefined {
    this.#index += 1;
    return this.#group[this.#index];
  }
}

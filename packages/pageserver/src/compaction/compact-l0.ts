import { setImmediate } from 'node:timers/promises';
import {
  BlockCache,
  compareKeys,
  DeltaLayerBuilder,
  keyRangeOf,
  type LayerEntry,
  LayerFile,
  type StoredLayer,
} from '@neon-snapshot/neon-layer';
import type { CallOptions } from '../timeline/timeline-types.ts';
import { type L0Plan, type L0PlanOptions, planL0 } from './l0-plan.ts';
import { cutL1, type L1Cut } from './l1-cuts.ts';
import { mergeSorted } from './merge-sorted.ts';
import type { StagedLayers } from './staged-layers.ts';
import type { CompactionTarget } from './target.ts';

/** Values that are read together from one layer. */
const GROUP_ENTRIES = 512;
/** For the index blocks of all layers: they are walked twice. */
const INDEX_CACHE_BYTES = 32 * 1024 * 1024;

export interface CompactL0Options extends L0PlanOptions, CallOptions {
  /** Stored values of an L1 layer at most: so much is in memory. */
  readonly l1BytesMax: number;
}

interface StoredEntry extends LayerEntry {
  readonly blob: Uint8Array;
}

/**
 * Turns L0 layers, over all keys, into L1 layers, each over a part of them; no value is changed. One new layer is in memory at
 * a time. Gives the layers that are listed no more; undefined where there are too few to begin with.
 */
export async function compactL0(
  target: CompactionTarget,
  staged: StagedLayers,
  options: CompactL0Options,
): Promise<readonly StoredLayer[] | undefined> {
  const { source } = target;
  const published = source.layers.layers.filter(({ name }) => source.index.layers.has(name));
  const plan = planL0(published, options);
  if (plan === undefined) return undefined;
  const files = await openAll(target, plan.layers, options);
  const merged = mergeSorted(files.map((file) => storedEntries(file, options)));
  const values = new EntryReader(merged);
  try {
    for await (const cut of cutsOf(files, plan, options)) {
      await staged.put(await buildL1(target, cut, values), options);
    }
  } finally {
    await merged.return(undefined);
  }
  return staged.publish(
    plan.layers.map(({ name }) => name),
    options,
  );
}

function cutsOf(
  files: readonly LayerFile[],
  { lsnStart, lsnEnd }: L0Plan<StoredLayer>,
  options: CompactL0Options,
): AsyncGenerator<L1Cut> {
  const entries = mergeSorted(files.map((file) => indexEntries(file, options)));
  return cutL1(entries, { lsnStart, lsnEnd, layerBytesMax: options.l1BytesMax });
}

async function openAll(
  { storage, tenantId }: CompactionTarget,
  layers: readonly StoredLayer[],
  { signal }: CallOptions,
): Promise<LayerFile[]> {
  const cache = new BlockCache({ sizeMaxBytes: INDEX_CACHE_BYTES });
  return Promise.all(
    layers.map(({ objectKey, desc, sizeBytes }) =>
      LayerFile.open(storage, objectKey, { desc, sizeBytes, tenantId, cache, signal }),
    ),
  );
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

/** A timeline of one small relation that goes on in time, whose pages are known at every LSN without reading a layer. */
import {
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  compareKeys,
  createPageCompressor,
  DBDIR_KEY,
  DeltaLayerBuilder,
  encodeDbDirectory,
  encodeIndexPart,
  encodeRelDirectory,
  encodeSizeValue,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  encodeValue,
  ImageLayerBuilder,
  indexObjectKey,
  KEY_MAX,
  KEY_MIN,
  type LayerMetadata,
  type RedoFunction,
  relBlockKey,
  relDirKey,
  relSizeKey,
  SLRU_KINDS,
  slruDirKey,
  type TimelineSource,
  TimelineView,
  TWO_PHASE_DIRECTORY_KEY,
  UNSHARDED,
  type Value,
} from '@neon-snapshot/neon-layer';
import { BLCKSZ, type Lsn, lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { MemoryTarget } from './memory-target.ts';

export const TENANT = '10101010101010101010101010101010';
export const MAIN = '20202020202020202020202020202020';
const START = 1000n;
const TAG = { spcNode: 1663, dbNode: 5, relNode: 1000, forkNum: 0 } as const;

/** A page: how many bytes were written to it since it was whole, and these bytes. */
const pageOf = (bytes: readonly number[]): Uint8Array => {
  const page = new Uint8Array(BLCKSZ);
  page.set([bytes.length & 255, bytes.length >> 8, ...bytes]);
  return page;
};

/** Redo of these records: each adds its byte. */
const countingRedo: RedoFunction = async ({ base, records }) => {
  const before = base ?? pageOf([]);
  const count = (before[0] ?? 0) + 256 * (before[1] ?? 0);
  const added = records.flatMap(({ record }) => (record.kind === 'postgres' ? [...record.record] : []));
  return pageOf([...before.subarray(2, 2 + count), ...added]);
};

interface Change {
  readonly block: number;
  readonly lsn: Lsn;
  readonly byte: number;
  /** A whole page in place of a record. */
  readonly isImage: boolean;
}

export interface LivingTimelineOptions {
  readonly storage: Storage;
  readonly blocks: number;
  readonly generation: number;
  /** Gives numbers from 0 up to but without `below`. */
  readonly random: (below: number) => number;
  /** In place of the right redo, for maintenance. */
  readonly redo?: RedoFunction | undefined;
}

export class LivingTimeline {
  readonly target: MemoryTarget;
  readonly #options: LivingTimelineOptions;
  readonly #changes: Change[] = [];
  #waiting: Change[] = [];
  #end = lsn(START);

  static async open(options: LivingTimelineOptions): Promise<LivingTimeline> {
    const { storage, generation } = options;
    await putIndex(options, { layers: new Map(), end: lsn(START), cutoff: lsn(START) });
    const target = await MemoryTarget.open({
      storage,
      tenantId: TENANT,
      timelineId: MAIN,
      generation,
      redo: options.redo ?? countingRedo,
    });
    await target.publish({ add: [await target.putLayer(firstImages(options.blocks))] });
    return new LivingTimeline(options, target);
  }

  private constructor(options: LivingTimelineOptions, target: MemoryTarget) {
    this.#options = options;
    this.target = target;
  }

  /** End of the layers. */
  get end(): Lsn {
    return this.#end;
  }

  /** Changes some pages. */
  write(count: number): void {
    const { random, blocks } = this.#options;
    for (let i = 0; i < count; i += 1) {
      const at = lsn((this.#waiting.at(-1)?.lsn ?? this.#end) + 8n);
      this.#waiting.push({ block: random(blocks), lsn: at, byte: random(256), isImage: random(9) === 0 });
    }
  }

  /** Stores the changes since the last time as an L0 layer, with a new index. */
  async flush(): Promise<void> {
    const { target } = this;
    const last = this.#waiting.at(-1);
    if (last === undefined) return;
    const lsnStart = lsn(this.#end + 1n);
    const builder = new DeltaLayerBuilder({
      tenantId: TENANT,
      timelineId: MAIN,
      keyStart: KEY_MIN,
      lsnStart,
    });
    const ordered = this.#waiting.toSorted((a, b) => a.block - b.block || Number(a.lsn - b.lsn));
    const earlier = [...this.#changes];
    this.#changes.push(...this.#waiting);
    for (const change of ordered) {
      const value = this.#valueOf(change);
      const key = relBlockKey(TAG, change.block);
      builder.append({ key, lsn: change.lsn, value: encodeValue(value), willInit: change.isImage });
    }
    try {
      const stored = await target.putLayer(builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(last.lsn + 1n) }));
      const { index } = target.source;
      const layers = new Map<string, LayerMetadata>(index.layers);
      const { generation } = this.#options;
      layers.set(stored.name, { fileSize: stored.sizeBytes, generation });
      await putIndex(this.#options, { layers, end: last.lsn, cutoff: index.metadata.latestGcCutoffLsn });
    } catch (error) {
      this.#changes.splice(0, this.#changes.length, ...earlier);
      throw error;
    }
    this.#end = last.lsn;
    this.#waiting = [];
    await target.reload();
  }

  /** Pages that do not read as they should, at every LSN of a change from `first` to `last`, the end by default. */
  async wrongPages(
    first: Lsn,
    {
      source = this.target.source,
      storage = this.target.storage,
      last = this.#end,
    }: { source?: TimelineSource; storage?: Storage; last?: Lsn } = {},
  ): Promise<readonly string[]> {
    const { blocks } = this.#options;
    const view = await TimelineView.open(storage, source, { redo: countingRedo });
    const wrong: string[] = [];
    const lsns = new Set([first, last, ...this.#changes.map((each) => each.lsn)]);
    for (const at of lsns) {
      if (at < first || at > last) continue;
      const keys = Array.from({ length: blocks }, (_, block) => relBlockKey(TAG, block));
      const pages = await view.at(at).getMany(keys);
      for (const [block, page] of pages.entries())
        if (Buffer.compare(page ?? new Uint8Array(), this.#pageAt(block, at)) !== 0)
          wrong.push(`${block} at ${at}`);
    }
    view.close();
    return wrong;
  }

  /** Layers that a read of a page at the end has to look at, of the worst one. */
  layersOfRead(): number {
    const { layers } = this.target.source;
    const counts = Array.from({ length: this.#options.blocks }, (_, block) => {
      const key = relBlockKey(TAG, block);
      return [...layers.descend(key, lsn(this.#end + 1n))].length;
    });
    return Math.max(...counts);
  }

  #valueOf(change: Change): Value {
    if (change.isImage) return { kind: 'image', image: this.#pageAt(change.block, change.lsn) };
    const record = Uint8Array.of(change.byte);
    return { kind: 'record', record: { kind: 'postgres', willInit: false, record } };
  }

  #pageAt(block: number, at: Lsn): Uint8Array {
    const own = this.#changes.filter((change) => change.block === block && change.lsn <= at);
    return pageOf(own.map(({ byte }) => byte));
  }
}

function firstImages(blocks: number) {
  const values: [Uint8Array, Uint8Array][] = [
    [DBDIR_KEY, encodeDbDirectory([{ spcNode: 1663, dbNode: 5, hasRelationMap: false }])],
    [relDirKey(1663, 5), encodeRelDirectory([{ relNode: TAG.relNode, forkNum: 0 }])],
    [relSizeKey(TAG), encodeSizeValue(blocks)],
    ...SLRU_KINDS.map((kind): [Uint8Array, Uint8Array] => [slruDirKey(kind), encodeSlruSegmentDirectory([])]),
    [TWO_PHASE_DIRECTORY_KEY, encodeTwoPhaseDirectory([], 17)],
    [CONTROL_FILE_KEY, new Uint8Array(BLCKSZ)],
    [CHECKPOINT_KEY, new Uint8Array(88)],
  ];
  for (let block = 0; block < blocks; block += 1) values.push([relBlockKey(TAG, block), pageOf([])]);
  values.sort(([a], [b]) => compareKeys(a, b));
  const compressor = createPageCompressor();
  const builder = new ImageLayerBuilder({
    tenantId: TENANT,
    timelineId: MAIN,
    lsn: lsn(START),
    keyStart: KEY_MIN,
  });
  for (const [key, value] of values) builder.appendBlob(key, compressor.encodeBlob(value));
  compressor.close();
  return builder.finish(KEY_MAX);
}

async function putIndex(
  { storage, generation }: LivingTimelineOptions,
  { layers, end, cutoff }: { readonly layers: ReadonlyMap<string, LayerMetadata>; end: Lsn; cutoff: Lsn },
): Promise<void> {
  const index = encodeIndexPart({
    layers,
    diskConsistentLsn: end,
    metadata: {
      diskConsistentLsn: end,
      ancestorLsn: ZERO_LSN,
      latestGcCutoffLsn: cutoff,
      initdbLsn: lsn(START),
      postgresMajor: 17,
    },
  });
  const tenant = { tenantId: TENANT, shard: UNSHARDED };
  await storage.put(indexObjectKey({ tenant, timelineId: MAIN, generation }), index);
}

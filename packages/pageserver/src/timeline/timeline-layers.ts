import {
  type IndexPart,
  LayerMap,
  type LayerMetadata,
  layerObjectKey,
  parseLayerName,
  type StoredLayer,
  type TimelineSource,
} from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { LayerChange } from './timeline-types.ts';

/** Where everything up to an LSN went when memory was frozen: into a layer, or into none where nothing was written. */
export interface FrozenPart {
  readonly layer: StoredLayer | undefined;
  readonly end: Lsn;
  readonly previousRecord: Lsn | undefined;
}

/** A new index, and which frozen parts it takes up. */
export interface PlannedIndex {
  readonly index: IndexPart;
  readonly layers: readonly StoredLayer[];
  readonly removed: readonly StoredLayer[];
  readonly frozenCount: number;
}

/**
 * Which layers a timeline consists of: those of its newest index, and frozen ones that are still only here. Sources that it
 * hands out never change.
 */
export class TimelineLayers {
  readonly #generation: number;
  readonly #parent: (() => TimelineSource) | undefined;
  #published: TimelineSource;
  #frozen: readonly FrozenPart[] = [];
  #local: TimelineSource | undefined;
  #localParent: TimelineSource | undefined;

  constructor(options: {
    readonly loaded: TimelineSource;
    /** Of everything that is written from now on. */
    readonly generation: number;
    /** The ancestor's layers as they are now. */
    readonly parent: (() => TimelineSource) | undefined;
  }) {
    this.#published = options.loaded;
    this.#generation = options.generation;
    this.#parent = options.parent;
  }

  /** As the newest index says. */
  get published(): TimelineSource {
    return this.#published;
  }

  /** With the frozen layers, and the ancestor as it is now. */
  get source(): TimelineSource {
    const parent = this.#parent?.();
    if (this.#local !== undefined && this.#localParent === parent) return this.#local;
    this.#localParent = parent;
    this.#local = this.#compose(parent);
    return this.#local;
  }

  /** Where the layers end, frozen ones included. */
  get end(): Lsn {
    return this.#frozen.at(-1)?.end ?? this.#published.index.metadata.diskConsistentLsn;
  }

  get frozen(): readonly FrozenPart[] {
    return this.#frozen;
  }

  /** A layer that is made here. */
  describe(name: string, sizeBytes: number): StoredLayer {
    const { tenant, timelineId } = this.#published;
    const generation = this.#generation;
    const objectKey = layerObjectKey({
      tenantId: tenant.tenantId,
      timelineId,
      layerName: name,
      generation,
    });
    return { desc: parseLayerName(name), name, objectKey, sizeBytes };
  }

  addFrozen(part: FrozenPart): void {
    this.#frozen = [...this.#frozen, part];
    this.#local = undefined;
  }

  /** The index with the first of the frozen parts, whose layers are in the storage, and a change. */
  plan(change: LayerChange, frozen: readonly FrozenPart[]): PlannedIndex {
    const { index, layers } = this.#published;
    const removedNames = new Set(change.remove);
    const added = [...frozen.flatMap(({ layer }) => layer ?? []), ...(change.add ?? [])];
    const all = new Map(
      [...layers.layers, ...added].map((layer): [string, StoredLayer] => [layer.name, layer]),
    );
    const removed = [...all.values()].filter(({ name }) => removedNames.has(name));
    for (const { name } of removed) all.delete(name);
    return {
      index: {
        ...index,
        layers: this.#metadataOf(all),
        ...this.#standing(frozen.at(-1), change.gcCutoff),
      },
      layers: [...all.values()],
      removed,
      frozenCount: frozen.length,
    };
  }

  /** The planned index is in the storage. */
  publish({ index, layers, frozenCount }: PlannedIndex): void {
    this.#published = {
      ...this.#published,
      generation: this.#generation,
      index,
      layers: new LayerMap(layers),
    };
    this.#frozen = this.#frozen.slice(frozenCount);
    this.#local = undefined;
  }

  #compose(parent: TimelineSource | undefined): TimelineSource {
    const { index, layers, ancestor } = this.#published;
    const frozen = this.#frozen.flatMap(({ layer }) => layer ?? []);
    return {
      ...this.#published,
      index: { ...index, ...this.#standing(this.#frozen.at(-1), undefined) },
      layers: frozen.length === 0 ? layers : new LayerMap([...layers.layers, ...frozen]),
      ancestor:
        ancestor === undefined || parent === undefined ? ancestor : { source: parent, lsn: ancestor.lsn },
    };
  }

  #standing(
    last: FrozenPart | undefined,
    gcCutoff: Lsn | undefined,
  ): Pick<IndexPart, 'diskConsistentLsn' | 'metadata'> {
    const { metadata } = this.#published.index;
    const diskConsistentLsn = last?.end ?? metadata.diskConsistentLsn;
    return {
      diskConsistentLsn,
      metadata: {
        ...metadata,
        diskConsistentLsn,
        prevRecordLsn: last === undefined ? metadata.prevRecordLsn : last.previousRecord,
        latestGcCutoffLsn: laterOf(metadata.latestGcCutoffLsn, gcCutoff),
      },
    };
  }

  /** What the index said of a layer stays; what is new was made here. */
  #metadataOf(layers: ReadonlyMap<string, StoredLayer>): ReadonlyMap<string, LayerMetadata> {
    const known = this.#published.index.layers;
    return new Map(
      [...layers].map(([name, { sizeBytes, objectKey }]): [string, LayerMetadata] => {
        const before = known.get(name);
        const own = { fileSize: sizeBytes, generation: this.#generation };
        const isSame = before !== undefined && objectKey !== this.describe(name, sizeBytes).objectKey;
        return [name, isSame ? before : own];
      }),
    );
  }
}

function laterOf(a: Lsn, b: Lsn | undefined): Lsn {
  return b !== undefined && b > a ? b : a;
}

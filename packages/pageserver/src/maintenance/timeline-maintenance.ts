import type { StoredLayer } from '@neon-snapshot/neon-layer';
import { isL0 } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { compactDeltas } from '../compaction/compact-deltas.ts';
import { createImages } from '../compaction/create-images.ts';
import { type MergePlan, planL0, planL1 } from '../compaction/delta-plans.ts';
import { StagedLayers } from '../compaction/staged-layers.ts';
import type { CompactionTarget } from '../compaction/target.ts';
import { type CollectedGarbage, collectGarbage, noteRemoved } from '../gc/collect-garbage.ts';
import { deleteNotedLayers, noteUnlistedLayers } from '../gc/delete-layers.ts';
import type { PinnedLsn } from '../gc/retained-points.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';
import { SeenLsns } from './seen-lsns.ts';
import { MAINTENANCE_DEFAULTS, type MaintenanceSettings } from './settings.ts';
import { Turns } from './turns.ts';

export interface TimelineMaintenanceOptions {
  /** The bucket itself: names and notes lie there. */
  readonly bucket: Storage;
  /** Our own. */
  readonly generation: number;
  /** Rejects when the right to write was lost. */
  readonly assertHeld: (options: CallOptions) => Promise<void>;
  /** LSNs that are leased now, of any timeline of the tenant. */
  readonly leased: () => readonly PinnedLsn[];
  readonly now: () => Date;
  /** How far back every LSN stays readable. */
  readonly pitrIntervalMs: number;
  /** How long an object stays that no index lists any more. */
  readonly gcGraceMs: number;
  /** Shared by the timelines of a process, so that one of them works at a time. */
  readonly turns?: Turns | undefined;
  readonly settings?: Partial<MaintenanceSettings> | undefined;
  /** Told what was done; must not throw. */
  readonly onDone?: ((done: MaintenanceDone) => void) | undefined;
}

/** What was done, for events and logs. */
export interface MaintenanceDone {
  readonly what: 'l0-compaction' | 'l1-compaction' | 'images' | 'gc' | 'deletion' | 'leftovers';
  readonly detail: string;
}

/** What is compacted although it is not due by itself. */
export interface CompactOptions extends CallOptions {
  /** L0 layers, also very few. */
  readonly forceL0?: boolean;
  /** Images wherever a delta layer lies above the last ones. */
  readonly forceImages?: boolean;
}

export interface CollectOptions extends CallOptions {
  /** WAL behind the end that stays; default: as the settings say. */
  readonly horizonBytes?: number | undefined;
}

/** Since the start. */
export interface MaintenanceCounters {
  readonly l0LayersCompacted: number;
  readonly l1LayersCompacted: number;
  readonly layersCreated: number;
  readonly layerBytesCreated: number;
  readonly layersCollected: number;
  readonly layerBytesCollected: number;
  readonly objectsDeleted: number;
  readonly runs: number;
  readonly failures: number;
}

/** Keeps the layers of one timeline in order: one run at a time, each does what is due. */
export class TimelineMaintenance {
  readonly #target: CompactionTarget;
  readonly #options: TimelineMaintenanceOptions;
  readonly #settings: MaintenanceSettings;
  readonly #seen: SeenLsns;
  readonly #turns: Turns;
  readonly #counters = {
    l0LayersCompacted: 0,
    l1LayersCompacted: 0,
    layersCreated: 0,
    layerBytesCreated: 0,
    layersCollected: 0,
    layerBytesCollected: 0,
    objectsDeleted: 0,
    runs: 0,
    failures: 0,
  };
  #collectedAt: Date | undefined;
  #lookedForLeftovers = false;

  constructor(target: CompactionTarget, options: TimelineMaintenanceOptions) {
    this.#target = target;
    this.#options = options;
    this.#settings = { ...MAINTENANCE_DEFAULTS, ...options.settings };
    this.#seen = new SeenLsns(options.pitrIntervalMs);
    this.#turns = options.turns ?? new Turns();
  }

  get counters(): MaintenanceCounters {
    return { ...this.#counters };
  }

  /** L0 layers that wait: reads pass all of them, so that a writer should wait when they are very many. */
  get l0Count(): number {
    return this.#target.source.layers.layers.filter(({ desc }) => isL0(desc)).length;
  }

  /**
   * Does what is due: merges L0 layers, merges small L1 layers, makes images, collects garbage, deletes what was noted. A failure leaves the
   * timeline as it was before that step; the next run tries anew.
   */
  async run({ signal }: CallOptions = {}): Promise<void> {
    const { source } = this.#target;
    // Shards have other rules for their layers; nothing here writes any.
    if (source.tenant.shard.count > 1) return;
    this.#seen.see({ lsn: source.index.metadata.diskConsistentLsn, at: this.#options.now() });
    await this.#turns.take(() => this.#run({ signal }), signal);
  }

  /** Merges layers and makes images now. The first failure ends it. */
  async compact({ forceL0 = false, forceImages = false, signal }: CompactOptions = {}): Promise<void> {
    const settings = {
      ...this.#settings,
      ...(forceL0 ? { l0CountMin: 1 } : {}),
      ...(forceImages ? { imageDeltasMin: 1, imageChangedRatio: 0 } : {}),
    };
    await this.#turns.take(async () => {
      await this.#mergeDeltas({ signal }, settings);
      await this.#makeImages({ signal }, settings);
    }, signal);
  }

  /** Collects garbage now. */
  async collect({ horizonBytes, signal }: CollectOptions = {}): Promise<CollectedGarbage> {
    return this.#turns.take(() => this.#collect({ signal, horizonBytes }), signal);
  }

  /** One step that fails, say for a damaged layer, keeps no other from being done. */
  async #run({ signal }: CallOptions): Promise<void> {
    this.#counters.runs += 1;
    const failures: unknown[] = [];
    const steps = [
      () => this.#noteLeftovers({ signal }),
      () => this.#mergeDeltas({ signal }, this.#settings),
      () => this.#makeImages({ signal }, this.#settings),
      () => this.#collectIfDue({ signal }),
    ];
    for (const step of steps) {
      signal?.throwIfAborted();
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 0) return;
    this.#counters.failures += 1;
    throw failures[0];
  }

  async #noteLeftovers({ signal }: CallOptions): Promise<void> {
    if (this.#lookedForLeftovers) return;
    const { bucket, generation, now } = this.#options;
    const { tenantId, timelineId } = this.#target;
    const options = { tenantId, timelineId, generation, now: now(), signal };
    const count = await noteUnlistedLayers(bucket, options);
    this.#lookedForLeftovers = true;
    if (count > 0) this.#tell('leftovers', `${count} layers of earlier processes are listed by no index`);
  }

  async #mergeDeltas({ signal }: CallOptions, settings: MaintenanceSettings): Promise<void> {
    const { l0CountMin, l0CountMax, l1CountMin, l1CountMax, l1SmallBytesMax, mergeBytesMax } = settings;
    const l0 = { countMin: l0CountMin, countMax: l0CountMax, bytesMax: mergeBytesMax };
    for (let plan = planL0(this.#published(), l0); plan !== undefined; ) {
      this.#counters.l0LayersCompacted += await this.#merge('l0-compaction', plan, { signal });
      plan = planL0(this.#published(), l0);
    }
    const l1 = { countMin: l1CountMin, countMax: l1CountMax, bytesMax: mergeBytesMax };
    const plan = planL1(this.#published(), { ...l1, stripeBytesMax: l1SmallBytesMax });
    if (plan !== undefined)
      this.#counters.l1LayersCompacted += await this.#merge('l1-compaction', plan, { signal });
  }

  /** Without layers that are only local yet. */
  #published(): readonly StoredLayer[] {
    const { layers, index } = this.#target.source;
    return layers.layers.filter(({ name }) => index.layers.has(name));
  }

  async #merge(
    what: 'l0-compaction' | 'l1-compaction',
    plan: MergePlan<StoredLayer>,
    { signal }: CallOptions,
  ): Promise<number> {
    return this.#staging({ signal }, async (staged) => {
      const options = { plan, layerBytesMax: this.#settings.l1BytesMax, signal };
      const removed = await compactDeltas(this.#target, staged, options);
      await noteRemoved(this.#target, removed, this.#noteOptions({ signal }));
      const range = `${formatLsn(plan.lsnStart)} to ${formatLsn(plan.lsnEnd)}`;
      this.#tell(what, `${removed.length} layers from ${range} became ${staged.publishedCount}`);
      return removed.length;
    });
  }

  async #makeImages({ signal }: CallOptions, settings: MaintenanceSettings): Promise<void> {
    const { imageDeltasMin, imageDeltasMax, imageChangedRatio, partitionBytes, imageBytesMax } = settings;
    const options = {
      deltasMin: imageDeltasMin,
      deltasMax: imageDeltasMax,
      changedRatio: imageChangedRatio,
      partitionBytes,
      imageBytesMax,
      signal,
    };
    await this.#staging({ signal }, async (staged) => {
      const at: Lsn | undefined = await createImages(this.#target, staged, options);
      if (at !== undefined) this.#tell('images', `${staged.publishedCount} image layers at ${formatLsn(at)}`);
    });
  }

  /** What was stored and not published is noted as garbage when the work fails. */
  async #staging<Result>(
    { signal }: CallOptions,
    work: (staged: StagedLayers) => Promise<Result>,
  ): Promise<Result> {
    const staged = new StagedLayers(this.#target);
    try {
      return await work(staged);
    } catch (error) {
      // Found again at the next start, should this fail too.
      if (staged.waiting.length > 0 && signal?.aborted !== true)
        await noteRemoved(this.#target, staged.waiting, this.#noteOptions({ signal })).catch(() => undefined);
      throw error;
    } finally {
      this.#counters.layersCreated += staged.publishedCount;
      this.#counters.layerBytesCreated += staged.publishedBytes;
    }
  }

  async #collectIfDue({ signal }: CallOptions): Promise<void> {
    const nowMs = this.#options.now().getTime();
    const isDue =
      this.#collectedAt === undefined || nowMs >= this.#collectedAt.getTime() + this.#settings.gcPeriodMs;
    if (isDue) await this.#collect({ signal });
  }

  async #collect({ signal, horizonBytes }: CollectOptions): Promise<CollectedGarbage> {
    const { bucket, generation, pitrIntervalMs, gcGraceMs, leased, assertHeld, now } = this.#options;
    const { tenantId, timelineId } = this.#target;
    const seen = this.#seen.marks;
    const collected = await collectGarbage(this.#target, {
      bucket,
      generation,
      now: now(),
      pitrIntervalMs,
      horizonBytes: horizonBytes ?? this.#settings.gcHorizonBytes,
      seen,
      leased,
      signal,
    });
    const { cutoff, layers, bytes } = collected;
    this.#counters.layersCollected += layers;
    this.#counters.layerBytesCollected += bytes;
    if (cutoff !== undefined || layers > 0) {
      const where = cutoff === undefined ? '' : `; history begins at ${formatLsn(cutoff)} now`;
      this.#tell('gc', `${layers} layers of ${bytes} bytes are needed no more${where}`);
    }
    const options = { tenantId, timelineId, now: now(), graceMs: gcGraceMs, assertHeld, signal };
    const deleted = await deleteNotedLayers(bucket, options);
    this.#counters.objectsDeleted += deleted;
    if (deleted > 0) this.#tell('deletion', `${deleted} layer objects`);
    this.#collectedAt = now();
    return collected;
  }

  #noteOptions({ signal }: CallOptions) {
    const { bucket, generation, now } = this.#options;
    return { bucket, generation, now: now(), signal };
  }

  #tell(what: MaintenanceDone['what'], detail: string): void {
    this.#options.onDone?.({ what, detail });
  }
}

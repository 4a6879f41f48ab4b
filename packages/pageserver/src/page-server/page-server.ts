import { join } from 'node:path';
import { loadTimeline, type TimelineSource } from '@neon-snapshot/neon-layer';
import { isRepositoryError } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { finishDeletions } from '../branches/delete-branch.ts';
import { LayerCache } from '../cache/layer-cache.ts';
import { listedTimeline, snapshotPins } from '../gc/tenant-timelines.ts';
import { LsnLeases } from '../leases/lsn-leases.ts';
import { TimelineMaintenance } from '../maintenance/timeline-maintenance.ts';
import { Turns } from '../maintenance/turns.ts';
import type { PageServerError } from '../page-server-error.ts';
import { createWriteGuard, fencedError, type WriteGuard } from '../push/write-guard.ts';
import { WalReceivers } from '../receiver/wal-receivers.ts';
import { MemoryBudget } from '../timeline/memory-budget.ts';
import { Timeline } from '../timeline/timeline.ts';
import type { TimelineServices } from '../timeline/timeline-services.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';
import type { PageServerEvent } from './events.ts';
import { inParallel } from './in-parallel.ts';
import { loadTimelines, servedTimelines } from './load-timelines.ts';
import { MaintenanceLoop } from './maintenance-loop.ts';
import { type PageServerConfig, type PageServerOptions, resolvePageServerConfig } from './options.ts';
import { closedError, eventualStorage, noTenant, noTimeline, tooLate } from './page-server-faults.ts';
import { QueryTimes } from './query-times.ts';
import { systemClock } from './system-clock.ts';
import type { WalSource, WalSourceState } from './wal-source.ts';

const TIMELINES_AT_ONCE = 8;
const CLOSE_TIMEOUT_MS = 60_000;
const CACHE_FAILURE_REPEAT_MS = 60_000;

/** All timelines of one tenant, under one lease. */
export class PageServer implements AsyncDisposable {
  readonly tenantId: string;
  readonly config: PageServerConfig;
  /** LSNs that readers asked to be kept. */
  readonly leases: LsnLeases;
  /** How long its readers' requests took. */
  readonly queryTimes: QueryTimes = new QueryTimes();
  readonly #options: PageServerOptions;
  readonly #services: TimelineServices;
  readonly #timelines = new Map<string, Timeline>();
  readonly #receivers: WalReceivers;
  readonly #maintenance = new Map<string, MaintenanceLoop>();
  readonly #maintenanceTurns = new Turns();
  readonly #ended = new AbortController();
  #closing: Promise<void> | undefined;

  /**
   * Loads every timeline of the tenant, recovers its raw WAL, and takes it over under the lease's generation. Throws `StorageError`,
   * `NeonLayerError`, `TimelineError`; `PAGESERVER_NOT_FOUND` where there is no such tenant.
   */
  static async open(options: PageServerOptions): Promise<PageServer> {
    const startedAt = performance.now();
    if (options.storage.capability.consistency !== 'strong') throw eventualStorage(options.storage.url);
    const config = resolvePageServerConfig(options);
    const onFailure = cacheFailures(options);
    const cache = await LayerCache.open({
      storage: options.storage,
      directory: join(options.stateDirectory, 'cache'),
      sizeMaxBytes: config.cacheBytesMax,
      onFailure,
    });
    const server = new PageServer(options, config, cache);
    try {
      await server.#load();
    } catch (error) {
      await server.#stop({ push: false, timeoutMs: 0 });
      throw error;
    }
    server.#emit({
      kind: 'ready',
      generation: server.generation,
      timelineCount: server.#timelines.size,
      durationMs: Math.round(performance.now() - startedAt),
    });
    return server;
  }

  private constructor(options: PageServerOptions, config: PageServerConfig, cache: LayerCache) {
    this.tenantId = options.tenantId;
    this.config = config;
    this.#options = options;
    const { storage, lease, clock = systemClock, tenantId } = options;
    this.leases = new LsnLeases({
      now: () => clock.now(),
      isNamed: async (timelineId, lsn) => {
        const pins = await snapshotPins(storage, tenantId, { signal: this.#ended.signal });
        return pins.some((pin) => pin.timelineId === timelineId && pin.lsn === lsn);
      },
    });
    const guard: WriteGuard = createWriteGuard(lease, (error) => this.#fence(error));
    this.#services = {
      tenantId,
      storage,
      cache,
      guard,
      config,
      clock,
      budget: new MemoryBudget(config.memoryBytesMax),
      redoFallback: options.redoFallback,
      isPinned: (timelineId, lsn) => this.leases.isLeased(timelineId, lsn),
      isKept: (timelineId, lsn) => this.leases.isKept(timelineId, lsn),
      emit: (event) => this.#emit(event),
    };
    this.#receivers = new WalReceivers({
      stateDirectory: options.stateDirectory,
      clock,
      emit: this.#services.emit,
    });
    // What the disk does not take is in memory.
    this.#services.budget.add(cache);
    const onLost = () => {
      const reason: unknown = lease.signal.reason;
      if (isRepositoryError(reason)) this.#fence(fencedError(reason));
    };
    lease.signal.addEventListener('abort', onLost, { once: true, signal: this.#ended.signal });
    if (lease.signal.aborted) onLost();
  }

  /** Of everything that this page server writes. */
  get generation(): number {
    return this.#services.guard.generation;
  }

  /** Fires when this page server was fenced: the reason is a `PAGESERVER_FENCED` that says who holds the lease. Also when it was closed. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Where the tenant lies. */
  get bucket(): Storage {
    return this.#options.storage;
  }

  /** Renews the lease at the storage: good for whatever is put next. Throws `PAGESERVER_FENCED`. */
  assertHeld({ signal = this.#ended.signal }: CallOptions = {}): Promise<void> {
    return this.#services.guard.assertHeld(signal);
  }

  /** LSNs that garbage collection leaves alone besides those of snapshots. */
  leased(): ReturnType<LsnLeases['pinned']> {
    return this.leases.pinned();
  }

  /** Compaction and garbage collection of a timeline, for metrics and on demand. */
  maintenance(timelineId: string): TimelineMaintenance | undefined {
    return this.#maintenance.get(timelineId)?.maintenance;
  }

  /** Has a timeline compacted, or its garbage collected, now. Throws `PAGESERVER_NOT_FOUND`, and `PAGESERVER_CLOSED` where it ends meanwhile. */
  maintain<Result>(
    timelineId: string,
    work: (maintenance: TimelineMaintenance, options: CallOptions) => Promise<Result>,
    options: CallOptions,
  ): Promise<Result> {
    const loop = this.#maintenance.get(timelineId);
    if (loop === undefined) throw noTimeline(timelineId, this.tenantId);
    return loop.run(work, options);
  }

  now(): Date {
    return this.#services.clock.now();
  }

  /** The local layer cache and the memory budget, for metrics. */
  get resources(): {
    readonly cache: LayerCache['facts'];
    readonly memoryBytes: number;
    readonly memoryBytesMax: number;
  } {
    const { cache, budget } = this.#services;
    return { cache: cache.facts, memoryBytes: budget.usedBytes, memoryBytesMax: budget.sizeMaxBytes };
  }

  /** Whether a layer has a local copy. */
  isResident(objectKey: string): boolean {
    return this.#services.cache.holds(objectKey);
  }

  timelines(): readonly Timeline[] {
    return [...this.#timelines.values()];
  }

  /** Throws `PAGESERVER_NOT_FOUND`. */
  timeline(timelineId: string): Timeline {
    const timeline = this.#timelines.get(timelineId);
    if (timeline === undefined) throw noTimeline(timelineId, this.tenantId);
    return timeline;
  }

  /** Loads a timeline whose index was just put into the storage. */
  async addTimeline(timelineId: string): Promise<Timeline> {
    const known = this.#timelines.get(timelineId);
    if (known !== undefined) return known;
    const { storage, tenantId, signal } = this.#options;
    const loaded = await loadTimeline(storage, { tenant: tenantId, timelineId, signal });
    const timeline = await this.#openTimeline(loaded);
    await timeline.takeOver({ signal });
    await this.#services.guard.verify(this.#ended.signal);
    await this.#start(timeline);
    return timeline;
  }

  /** Stops a timeline and forgets it; its objects are the caller's. */
  async removeTimeline(timelineId: string): Promise<void> {
    const timeline = this.timeline(timelineId);
    await this.#receivers.remove(timelineId);
    await this.#maintenance.get(timelineId)?.stop();
    this.#maintenance.delete(timelineId);
    this.#timelines.delete(timelineId);
    await timeline.close({ push: false, signal: this.#ended.signal });
  }

  /** Takes a timeline's WAL from there from now on, also after a restart. Throws `PAGESERVER_FENCED`. */
  async setWalSource(timelineId: string, source: WalSource): Promise<void> {
    this.#ended.signal.throwIfAborted();
    return this.#receivers.set(this.timeline(timelineId), source);
  }

  removeWalSource(timelineId: string): Promise<void> {
    return this.#receivers.remove(timelineId);
  }

  walSource(timelineId: string): WalSourceState | undefined {
    return this.#receivers.state(timelineId);
  }

  /**
   * Stops taking WAL, pushes everything, releases the lease. Never rejects: what a storage that does not answer within
   * `timeoutMs` (default 60 s) did not take is what Postgres still has, and sends again. Idempotent.
   */
  close({ timeoutMs = CLOSE_TIMEOUT_MS }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #load(): Promise<void> {
    const { storage, tenantId, signal } = this.#options;
    const found = await loadTimelines(storage, { tenantId, signal });
    await finishDeletions(this, found.map(listedTimeline), { signal });
    const loaded = servedTimelines(found);
    if (loaded.length === 0) throw noTenant(tenantId, storage.url);
    const opening = new Map<string, Promise<Timeline>>();
    // Ancestors come first.
    const openInTurn = async (source: TimelineSource): Promise<Timeline> => {
      await opening.get(source.index.metadata.ancestorTimelineId ?? '');
      return this.#openTimeline(source);
    };
    const timelines = await inParallel(loaded, TIMELINES_AT_ONCE, (source) => {
      const opened = openInTurn(source);
      opening.set(source.timelineId, opened);
      return opened;
    });
    await inParallel(timelines, TIMELINES_AT_ONCE, (timeline) => timeline.takeOver({ signal }));
    // Nothing is taken before it is sure that no earlier owner's index counts any more.
    await this.#services.guard.verify(this.#ended.signal);
    for (const timeline of timelines) await this.#start(timeline);
    await this.#receivers.start(timelines);
  }

  async #openTimeline(source: TimelineSource): Promise<Timeline> {
    const ancestorId = source.index.metadata.ancestorTimelineId;
    const parent = ancestorId === undefined ? undefined : this.#timelines.get(ancestorId);
    const timeline = await Timeline.open(this.#services, source, parent, { signal: this.#options.signal });
    this.#timelines.set(source.timelineId, timeline);
    return timeline;
  }

  async #start(timeline: Timeline): Promise<void> {
    await timeline.start();
    const { guard, config, clock, emit } = this.#services;
    const { pitrIntervalMs, gcGraceMs } = config;
    const { timelineId } = timeline;
    const maintenance = new TimelineMaintenance(timeline, {
      bucket: this.bucket,
      generation: guard.generation,
      assertHeld: (call) => this.assertHeld(call),
      leased: () => this.leased(),
      now: () => clock.now(),
      pitrIntervalMs,
      gcGraceMs,
      turns: this.#maintenanceTurns,
      onDone: (done) => emit({ kind: 'maintenance', timelineId, ...done }),
    });
    this.#maintenance.set(timelineId, new MaintenanceLoop({ timelineId, maintenance, clock, emit }));
  }

  async #stopMaintenance(): Promise<void> {
    await Promise.all([...this.#maintenance.values()].map((loop) => loop.stop()));
  }

  async #close(timeoutMs: number): Promise<void> {
    await this.#stop({ push: !this.#ended.signal.aborted, timeoutMs });
    await this.#options.lease.release();
    this.#emit({ kind: 'closed' });
  }

  /** Ends everything but the lease. */
  async #stop({ push, timeoutMs }: { readonly push: boolean; readonly timeoutMs: number }): Promise<void> {
    const { cache, clock } = this.#services;
    await this.#receivers.stopAll();
    await this.#stopMaintenance();
    const giveUp = new AbortController();
    const timeUp = new AbortController();
    void clock.sleep(timeoutMs, timeUp.signal).then(() => giveUp.abort(tooLate(timeoutMs)));
    const { signal } = giveUp;
    await Promise.allSettled(this.timelines().map((timeline) => timeline.close({ push, signal })));
    timeUp.abort();
    if (!this.#ended.signal.aborted) this.#ended.abort(closedError());
    cache.close();
  }

  #fence(error: PageServerError): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(error);
    this.#emit({ kind: 'fenced', message: error.message });
    void this.#receivers.stopAll();
    void this.#stopMaintenance();
    for (const timeline of this.timelines()) timeline.fence(error);
  }

  #emit(event: PageServerEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** The local disk fails: told at the first time and then once a minute. */
function cacheFailures({ clock = systemClock, onEvent }: PageServerOptions): (error: unknown) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    const now = clock.now().getTime();
    if (now < toldAt + CACHE_FAILURE_REPEAT_MS) return;
    toldAt = now;
    const message = error instanceof Error ? error.message : String(error);
    onEvent?.({ kind: 'cache-failing', message });
  };
}
